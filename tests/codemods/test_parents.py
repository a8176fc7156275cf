"""A parent that is a span's own context for one caller and an extracted one for another."""

from __future__ import annotations

from textwrap import dedent

import pytest

from tests.codemods.helpers import check, left, run

BEFORE = """\
    import opentracing
    from opentracing import Format, SpanContext

    tracer = opentracing.global_tracer()


    def parent() -> SpanContext:
        return tracer.active_span.context


    def started(name, above{}):
        {}


    print(started("sent", parent()))
    print(started("received", tracer.extract(Format.TEXT_MAP, {{}})))
    """
AFTER = """\
    from opentelemetry import context, propagate, trace{}

    tracer = trace.get_tracer(__name__)


    def parent() -> trace.SpanContext:
        return trace.get_current_span().get_span_context()


    def started(name, above{}):
        {}


    print(started("sent", parent()))
    print(started("received", propagate.extract({{}}, context=context.get_current())))
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


SPAN = "trace.set_span_in_context(parent) if isinstance(parent, trace.Span) else parent"


def test_a_parent_that_is_extracted_or_the_active_span_is_told_apart_when_it_runs() -> None:
    check(
        """\
        import opentracing

        tracer = opentracing.global_tracer()


        def receive(headers):
            parent = tracer.extract("text_map", headers)
            if parent is None:
                parent = tracer.active_span
            return tracer.start_span("received", child_of=parent)
        """,
        f"""\
        from opentelemetry import context, propagate, trace

        tracer = trace.get_tracer(__name__)


        def receive(headers):
            parent = propagate.extract(headers, context=context.get_current())
            if not trace.get_current_span(parent).get_span_context().is_remote:
                parent = trace.get_current_span()
            return tracer.start_span("received", context={SPAN})
        """,
    )


THREE = """\
    trace.set_span_in_context(parent)
    if isinstance(parent, trace.Span)
    else trace.set_span_in_context(trace.NonRecordingSpan(parent))
    if isinstance(parent, trace.SpanContext)
    else parent
"""


@pytest.mark.parametrize(
    "head",
    [
        "def f(span, x):\n    parent = x and span or span.context\n",
        "def f(parent):\n",
        "def f(other):\n    parent = other.context if other else None\n",
    ],
    ids=["mixture", "parameter", "unknown"],
)
def test_a_parent_of_which_little_is_known_is_told_apart_when_it_runs(head: str) -> None:
    start = "    opentracing.tracer.start_span('a', child_of=parent).finish()\n"
    result = run("import opentracing\n\n\n" + head + start)
    assert " ".join(THREE.split()) in result.source.decode()
    assert run(result.source.decode()).source == result.source


def test_a_test_of_what_may_be_a_span_or_a_context_is_reported() -> None:
    result = run(
        "import opentracing\n\n\ndef f(headers, on):\n"
        "    parent = opentracing.tracer.active_span\n    if on:\n"
        "        parent = opentracing.tracer.extract('text_map', headers)\n"
        "    return parent is None\n",
    )
    assert "8: opentracing.SpanContext (tested)" in left(result)


def test_a_parent_that_may_also_be_anything_is_told_apart_when_it_runs() -> None:
    check(
        """\
        from contextvars import ContextVar

        import opentracing
        from opentracing import Format

        tracer = opentracing.global_tracer()
        above = ContextVar("above", default=None)


        def started(name, carrier):
            parent = tracer.extract(Format.TEXT_MAP, carrier)
            if parent is None:
                parent = above.get()
            return tracer.start_span(name, child_of=parent)
        """,
        """\
        from contextvars import ContextVar

        from opentelemetry import context, propagate, trace
        from opentelemetry.context import Context

        tracer = trace.get_tracer(__name__)
        above = ContextVar("above", default=None)


        def started(name, carrier):
            parent = propagate.extract(carrier, context=context.get_current())
            if not (trace.get_current_span(parent).get_span_context().is_remote if isinstance(parent, Context) else parent is not None):
                parent = above.get()
            return tracer.start_span(name, context=trace.set_span_in_context(parent) if isinstance(parent, trace.Span) else trace.set_span_in_context(trace.NonRecordingSpan(parent)) if isinstance(parent, trace.SpanContext) else parent)
        """,  # noqa: E501
    )


@pytest.mark.parametrize("parent", ["spans.get(key)", "spans[key] if key else None"])
def test_a_span_that_may_not_be_there_is_asked_for(parent: str) -> None:
    check(
        f"""\
        import opentracing

        tracer = opentracing.global_tracer()
        spans = {{"first": tracer.start_span("first")}}


        def started(name, key):
            parent = {parent}
            return tracer.start_span(name, child_of=parent)
        """,
        f"""\
        from opentelemetry import trace

        tracer = trace.get_tracer(__name__)
        spans = {{"first": tracer.start_span("first")}}


        def started(name, key):
            parent = {parent}
            return tracer.start_span(name, context=trace.set_span_in_context(parent) if parent is not None else None)
        """,  # noqa: E501
    )


def test_a_span_that_was_active_elsewhere_is_a_parent_only_where_there_was_one() -> None:
    check(
        """\
        import opentracing

        tracer = opentracing.global_tracer()
        above = tracer.active_span


        def started(name):
            return tracer.start_span(name, child_of=above)
        """,
        """\
        from opentelemetry import trace

        tracer = trace.get_tracer(__name__)
        above = trace.get_current_span()


        def started(name):
            return tracer.start_span(name, context=trace.set_span_in_context(above) if above.get_span_context().is_valid else None)
        """,  # noqa: E501
    )


def test_what_start_child_span_is_given_is_a_span() -> None:
    check(
        """\
        import opentracing


        def below(parent):
            return opentracing.start_child_span(parent, "work")
        """,
        """\
        from opentelemetry import trace

        tracer = trace.get_tracer(__name__)


        def below(parent):
            return tracer.start_span("work", context=trace.set_span_in_context(parent))
        """,
    )


def test_what_is_extracted_waits_for_the_start_that_takes_it() -> None:
    result = run(
        dedent(
            """\
            from opentracing import Format


            def handle(tracer, carrier, tags):
                parent = tracer.extract(Format.TEXT_MAP, carrier)
                return tracer.start_span("work", child_of=parent, tags=tags)
            """
        )
    )
    assert "tracer.extract(" in result.source.decode()
    assert "line 6 may be rewritten too" in result.findings[1].advice


def test_a_link_to_what_may_be_a_context_of_either_sort_asks_when_it_runs() -> None:
    result = run(
        "from opentracing import Tracer, follows_from\n\n"
        "def work(tracer: Tracer, above):\n"
        "    return tracer.start_span('a', references=[follows_from(above)])\n",
        unsafe=True,
    )
    assert (
        b"links=[trace.Link(above if isinstance(above, trace.SpanContext) else "
        b"trace.get_current_span(above).get_span_context())]"
    ) in result.source


@pytest.mark.parametrize(("ignored", "is_said"), [("", True), (", ignore_active_span=True", False)])
def test_a_reference_to_what_was_extracted_becomes_the_parent_and_says_so(
    ignored: str, is_said: bool
) -> None:
    result = run(
        "from opentracing import Format, follows_from\n\n\ndef work(tracer, headers):\n"
        "    found = tracer.extract(Format.TEXT_MAP, headers)\n"
        f"    return tracer.start_span('a', references=[follows_from(found)]{ignored})\n"
    )
    assert b"context=found" in result.source
    assert any("it was the parent" in finding.advice for finding in result.findings) == is_said
