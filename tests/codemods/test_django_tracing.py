"""django-opentracing in the settings: goes with --unsafe, since its successor is another file's."""

from __future__ import annotations

import pytest

from codemods import is_candidate
from tests.codemods.helpers import check, check_noop, left, run

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
        (f"({MIDDLEWARE},)", "()"),
        (f"('a', {MIDDLEWARE})", "('a',)"),
        (f"({MIDDLEWARE}, 'a')", "('a',)"),
        (f"('a', 'b', {MIDDLEWARE})", "('a', 'b')"),
    ],
)
def test_the_middleware_goes(before: str, after: str) -> None:
    check(f"MIDDLEWARE = {before}\n", f"MIDDLEWARE = {after}\n", unsafe=True)


@pytest.mark.parametrize("added", ["append(", "insert(0, "])
def test_a_middleware_that_is_added_goes(added: str) -> None:
    check(
        f"MIDDLEWARE = []\nif DEBUG:\n    MIDDLEWARE.{added}{MIDDLEWARE})\n",
        "MIDDLEWARE = []\nif DEBUG:\n    pass\n",
        unsafe=True,
    )


@pytest.mark.parametrize(
    ("setting", "advice"),
    [("TRACER_CALLABLE", "set_tracer_provider"), ("TRACED_ATTRIBUTES", "TRACED_REQUEST_ATTRS")],
)
def test_a_setting_without_effect_is_said(setting: str, advice: str) -> None:
    result = run(f"OPENTRACING_{setting} = settings\nMIDDLEWARE = [{MIDDLEWARE}]\n", unsafe=True)
    assert advice in result.findings[0].advice


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


def test_the_tracing_object_of_the_settings_is_known_in_views() -> None:
    before = """\
        import opentracing
        from django.conf import settings


        def view(request):
            span = settings.OPENTRACING_TRACING.get_span(request)
            span.set_tag("size", 1)
            opentracing.tracer.start_span("work", child_of=span).finish()
        """
    check_noop(before)
    check(
        before,
        """\
        from django.conf import settings
        from opentelemetry import trace

        tracer = trace.get_tracer(__name__)


        def view(request):
            span = trace.get_current_span()
            span.set_attribute("size", 1)
            tracer.start_span("work", context=trace.set_span_in_context(span)).end()
        """,
        unsafe=True,
    )


def test_the_tracing_object_of_the_settings_under_a_name_is_reported() -> None:
    result = check_noop(
        """\
        from django.conf import settings

        tracing = settings.OPENTRACING_TRACER


        @tracing.trace()
        def view(request):
            return tracing.get_span(request)
        """,
        unsafe=True,
    )
    assert "trace.get_current_span()" in result.findings[0].advice


def test_the_call_that_makes_the_tracer_is_kept() -> None:
    check(
        "import django_opentracing\n\n"
        "OPENTRACING_TRACING = django_opentracing.DjangoTracing(init_tracer('shop'))\n",
        "init_tracer('shop')\n",
        unsafe=True,
    )


def test_a_file_that_only_asks_the_settings_is_looked_at() -> None:
    result = run(
        "from django.conf import settings\n\n\ndef view(request):\n"
        "    settings.OPENTRACING_TRACING.get_span(request).set_tag('size', 1)\n"
    )
    assert "5: django.conf.settings.OPENTRACING_TRACING" in left(result)
    assert is_candidate(b"settings.OPENTRACING_TRACING.get_span(request)")
