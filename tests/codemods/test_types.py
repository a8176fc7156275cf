"""Legacy classes in annotations, also in quoted ones."""

from __future__ import annotations

import pytest

from tests.codemods.helpers import check, check_noop

BEFORE = "import opentracing\n\n\ndef show(span: {}) -> None:\n    print(span)\n"
AFTER = "from opentelemetry import trace\n\n\ndef show(span: {}) -> None:\n    print(span)\n"


@pytest.mark.parametrize(
    "annotation",
    ['"list[opentracing.Unknown]"', '"opentracing.Span" "| None"', "'opentracing.Unknown|x'"],
)
def test_what_is_unclear_stays(annotation: str) -> None:
    check_noop(BEFORE.format(annotation))


def test_a_context_in_quotes_is_of_a_span_or_extracted() -> None:
    check(
        BEFORE.format('"opentracing.SpanContext | None"'),
        AFTER.format('"trace.SpanContext | Context | None"').replace(
            "import trace\n", "import trace\nfrom opentelemetry.context import Context\n"
        ),
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("opentracing.Span", "trace.Span"),
        ("opentracing.Scope", "trace.Span"),
        ("opentracing.Tracer | None", "trace.Tracer | None"),
        ('"opentracing.Span"', '"trace.Span"'),
        ('"opentracing.Span | None"', '"trace.Span | None"'),
        (
            "'dict[opentracing.Tracer, list[opentracing.Span]]'",
            "'dict[trace.Tracer, list[trace.Span]]'",
        ),
    ],
)
def test_the_class_of_the_same_meaning(before: str, after: str) -> None:
    check(BEFORE.format(before), AFTER.format(after))
