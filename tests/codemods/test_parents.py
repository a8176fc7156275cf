"""A parent that is a span's own context for one caller and an extracted one for another."""

from __future__ import annotations

from tests.codemods.helpers import check, left

BEFORE = """\
    import opentracing
    from opentracing import Format, SpanContext

    tracer = opentracing.global_tracer()


    def parent() -> SpanContext:
        return tracer.active_span.context


    def started(name, above{}):
        {}


    started("sent", parent())
    started("received", tracer.extract(Format.TEXT_MAP, {{}}))
    """
AFTER = """\
    from opentelemetry import context, propagate, trace{}

    tracer = trace.get_tracer(__name__)


    def parent() -> trace.SpanContext:
        return trace.get_current_span().get_span_context()


    def started(name, above{}):
        {}


    started("sent", parent())
    started("received", propagate.extract({{}}, context=context.get_current()))
    """
EITHER = (
    "trace.set_span_in_context(trace.NonRecordingSpan(above)) "
    "if isinstance(above, trace.SpanContext) else above"
)


def test_a_parent_of_either_kind_is_told_apart_when_it_runs() -> None:
    result = check(
        BEFORE.format("", "return tracer.start_active_span(name, child_of=above)"),
        AFTER.format("", "", f"return tracer.start_as_current_span(name, context={EITHER})"),
    )
    assert left(result) == []


def test_an_annotation_says_either_kind() -> None:
    check(
        BEFORE.format(": SpanContext", "print(name)"),
        AFTER.format(
            "\n    from opentelemetry.context import Context",
            ': "Context | trace.SpanContext"',
            "print(name)",
        ),
    )


def test_an_id_is_read_from_either_kind() -> None:
    either = "(above if isinstance(above, trace.SpanContext) else"
    check(
        BEFORE.format("", "return above.span_id"),
        AFTER.format(
            "", "", f"return {either} trace.get_current_span(above).get_span_context()).span_id"
        ),
    )


def test_a_link_to_either_kind() -> None:
    before = "return tracer.start_span(name, references=[opentracing.follows_from(above)])"
    either = "above if isinstance(above, trace.SpanContext) else"
    after = (
        f"return tracer.start_span(name, context={EITHER}, "
        f"links=[trace.Link({either} trace.get_current_span(above).get_span_context())])"
    )
    check(BEFORE.format("", before), AFTER.format("", "", after), unsafe=True)
