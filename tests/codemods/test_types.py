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


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "if isinstance(x, opentracing.Span):\n        x.set_tag('a', 'b')",
            "if isinstance(x, trace.Span):\n        x.set_attribute('a', 'b')",
        ),
        (
            "return x.context if isinstance(x, opentracing.Span) else x.context",
            "return x.get_span_context() if isinstance(x, trace.Span) else x.context",
        ),
        (
            "return x and isinstance(x, opentracing.Span) and x.finish() or x.finish()",
            "return x and isinstance(x, trace.Span) and x.end() or x.finish()",
        ),
        (
            "if isinstance(x, opentracing.Span):\n        x = None\n    return x.context",
            "if isinstance(x, trace.Span):\n        x = None\n    return x.context",
        ),
    ],
    ids=["if", "conditional expression", "and", "bound anew"],
)
def test_what_isinstance_says_holds_where_it_is_so(before: str, after: str) -> None:
    text = run(f"import opentracing\n\n\ndef f(x):\n    {before}\n").source.decode()
    assert text.endswith(f"def f(x):\n    {after}\n")


def test_the_context_of_what_isinstance_says_is_a_span_is_no_contexts_context() -> None:
    result = run(
        "import opentracing\n\n\ndef f(x):\n    if isinstance(x, opentracing.Span):\n"
        "        return x.context\n    return x\n\n\nspan = opentracing.tracer.start_span('a')\n"
        "print(f(span), f(span.context))\n"
    )
    assert "        return x.get_span_context()\n" in result.source.decode()
    assert not left(result)
