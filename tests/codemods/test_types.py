"""Legacy classes in annotations, also in quoted ones."""

from __future__ import annotations

import pytest

from tests.codemods.helpers import check, check_noop, left, run

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


@pytest.mark.parametrize(
    ("asked", "after"),
    [
        (
            "if not isinstance(opentracing.tracer, jaeger_client.Tracer):",
            "if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):",
        ),
        (
            "assert isinstance(opentracing.global_tracer(), jaeger_client.Tracer)",
            "assert not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)",
        ),
        (
            "if isinstance(opentracing.tracer.active_span, opentracing.Span):",
            "if trace.get_current_span().get_span_context().is_valid:",
        ),
        (
            "if not isinstance(opentracing.tracer.active_span, jaeger_client.Span):",
            "if not trace.get_current_span().get_span_context().is_valid:",
        ),
        (
            "if isinstance(opentracing.tracer.extract('text_map', {}), opentracing.SpanContext):",
            "if trace.get_current_span(propagate.extract({}, context=context.get_current()))"
            ".get_span_context().is_remote:",
        ),
    ],
)
def test_isinstance_asks_what_it_asked_before(asked: str, after: str) -> None:
    head = "import jaeger_client\nimport opentracing\n\n"
    body = "" if asked.startswith("assert") else "\n    f()"
    text = run(f"{head}{asked}{body}\n").source.decode()
    assert text.endswith(f"{after}{body}\n")


def test_an_isinstance_that_would_be_true_of_every_tracer_is_reported() -> None:
    test = "isinstance(t, jaeger_client.Tracer)"
    result = run(f"import jaeger_client\n\n\ndef f(t):\n    return {test}\n")
    assert left(result) == ["1: jaeger_client", "5: jaeger_client.Tracer"]
