"""A legacy library that may be missing: the name that is then None, and who else binds it."""

from __future__ import annotations

from tests.codemods.helpers import check, left


def test_a_global_statement_follows_the_name() -> None:
    result = check(
        """\
        try:
            import opentracing
        except ImportError:
            opentracing = None


        def switch_off():
            global enabled, opentracing
            opentracing = None


        def tag(value):
            if opentracing is not None:
                opentracing.tracer.active_span.set_tag("size", len(value))
        """,
        """\
        try:
            from opentelemetry import trace
        except ImportError:
            trace = None


        def switch_off():
            global enabled, trace
            trace = None


        def tag(value):
            if trace is not None:
                trace.get_current_span().set_attribute("size", len(value))
        """,
    )
    assert left(result) == []


def test_a_library_imported_when_it_is_needed_is_asked_for_as_before() -> None:
    result = check(
        """\
        opentracing = None


        def switch_on():
            global opentracing
            import opentracing


        def tag(value):
            if opentracing is not None:
                opentracing.tracer.active_span.set_tag("size", len(value))
        """,
        """\
        from opentelemetry import trace

        opentracing = None


        def switch_on():
            global opentracing
            import opentracing


        def tag(value):
            if opentracing is not None:
                trace.get_current_span().set_attribute("size", len(value))
        """,
    )
    assert left(result) == ["6: opentracing", "10: opentracing"]
