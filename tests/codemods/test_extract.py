"""Extraction where the program expected that there is no carrier."""

from __future__ import annotations

import pytest

from tests.codemods.helpers import check


@pytest.mark.parametrize(
    ("carrier", "after"),
    [
        ("properties.headers", "properties.headers or {}"),
        ('message.get("headers")', 'message.get("headers") or {}'),
        ("request.headers", "request.headers"),
    ],
)
def test_headers_that_may_be_none_are_asked_for_where_the_error_was_caught(
    carrier: str, after: str
) -> None:
    check(
        f"""\
        import opentracing


        def work(tracer: opentracing.Tracer, message, properties, request):
            try:
                parent = tracer.extract(opentracing.Format.TEXT_MAP, {carrier})
            except opentracing.InvalidCarrierException:
                parent = None
            tracer.start_span("work", child_of=parent).finish()
        """,
        f"""\
        from opentelemetry import context, propagate, trace


        def work(tracer: trace.Tracer, message, properties, request):
            parent = propagate.extract({after}, context=context.get_current())
            tracer.start_span("work", context=parent).end()
        """,
    )
