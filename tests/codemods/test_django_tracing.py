"""django-opentracing in the settings: goes with --unsafe, since its successor is another file's."""

from __future__ import annotations

import pytest

from tests.codemods.helpers import check, check_noop

MIDDLEWARE = '"django_opentracing.OpenTracingMiddleware"'


def test_without_unsafe_the_middleware_is_held_back() -> None:
    result = check_noop(f"MIDDLEWARE = [{MIDDLEWARE}]\n")
    assert "manage.py" in result.findings[0].advice


def test_a_tracing_object_outside_the_settings_is_reported() -> None:
    check_noop(
        "from django_opentracing import DjangoTracing\n\ntracing = DjangoTracing()\n", unsafe=True
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"[\n    'a',\n    {MIDDLEWARE},\n]", "[\n    'a',\n]"),
        (f"[\n    {MIDDLEWARE},\n    'a',\n]", "[\n    'a',\n]"),
        (f"[{MIDDLEWARE}, 'a']", "['a']"),
        (f"['a', {MIDDLEWARE}]", "['a']"),
        (f"[{MIDDLEWARE}]", "[]"),
    ],
)
def test_the_middleware_goes(before: str, after: str) -> None:
    check(f"MIDDLEWARE = {before}\n", f"MIDDLEWARE = {after}\n", unsafe=True)


def test_the_settings_go() -> None:
    check(
        """\
        import django_opentracing

        DEBUG = True
        OPENTRACING_TRACING = django_opentracing.DjangoTracing(tracer)
        """,
        """\
        DEBUG = True
        """,
        unsafe=True,
    )
