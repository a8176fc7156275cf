"""Where new imports go: where the legacy one stood that served the same code."""

from __future__ import annotations

from codemods import Fact
from tests.codemods.helpers import check, left, run


def test_an_import_inside_a_function_stays_there() -> None:
    check(
        """\
        def start(name):
            import opentracing

            return opentracing.tracer.start_span(name)


        def stop(span):
            span.finish()
        """,
        """\
        def start(name):
            from opentelemetry import trace

            return trace.get_tracer(__name__).start_span(name)


        def stop(span):
            span.end()
        """,
    )


def test_what_the_module_needs_too_is_imported_once() -> None:
    check(
        """\
        import opentracing

        tracer = opentracing.global_tracer()


        def fail(span):
            from opentracing import tags

            span.set_tag(tags.ERROR, True)
        """,
        """\
        from opentelemetry import trace

        tracer = trace.get_tracer(__name__)


        def fail(span):

            span.set_status(trace.StatusCode.ERROR)
        """,
    )


def test_each_branch_that_imports_the_library_imports_its_successor() -> None:
    check(
        """\
        def exporter(kind):
            if kind == "thrift":
                from opentelemetry.exporter.jaeger.thrift import JaegerExporter

                return JaegerExporter(agent_host_name="jaeger")
            from opentelemetry.exporter.jaeger.proto.grpc import JaegerExporter

            return JaegerExporter(collector_endpoint="jaeger:14250", insecure=True)
        """,
        """\
        def exporter(kind):
            if kind == "thrift":
                from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

                return OTLPSpanExporter(endpoint="http://jaeger:4317", insecure=True)
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

            return OTLPSpanExporter(endpoint="http://jaeger:4317", insecure=True)
        """,
    )


def test_a_branch_of_the_module_keeps_its_imports_for_all_functions() -> None:
    check(
        """\
        from settings import TRACING

        if TRACING:
            import opentracing
            from opentracing.ext import tags


        def fail():
            if TRACING:
                opentracing.tracer.active_span.set_tag(tags.ERROR, True)
        """,
        """\
        from settings import TRACING

        if TRACING:
            from opentelemetry import trace


        def fail():
            if TRACING:
                trace.get_current_span().set_status(trace.StatusCode.ERROR)
        """,
    )


def test_an_import_for_type_checkers_stays_one() -> None:
    check(
        """\
        from __future__ import annotations

        from typing import TYPE_CHECKING

        if TYPE_CHECKING:
            from opentracing import Span


        def tag(span: Span) -> None:
            span.set_tag("size", 1)
        """,
        """\
        from __future__ import annotations

        from typing import TYPE_CHECKING

        if TYPE_CHECKING:
            from opentelemetry import trace


        def tag(span: trace.Span) -> None:
            span.set_attribute("size", 1)
        """,
    )


def test_what_is_left_of_a_local_import_stays_beside_the_new_one() -> None:
    result = check(
        """\
        def start(name):
            if name: from opentracing import tracer, unheard_of; unheard_of(); tracer.start_span(name)
        """,  # noqa: E501
        """\
        def start(name):
            if name: from opentelemetry import trace; from opentracing import unheard_of; unheard_of(); trace.get_tracer(__name__).start_span(name)
        """,  # noqa: E501
    )
    assert left(result) == ["2: opentracing.unheard_of"]


def test_a_star_that_gives_a_name_of_all_stays() -> None:
    result = run(
        "from opentracing.ext.tags import *\n\n__all__ = ['ERROR', 'f']\n\n\n"
        "def f(span):\n    span.set_tag(ERROR, True)\n"
    )
    assert b"from opentracing.ext.tags import *" in result.source
    assert left(result) == ["1: opentracing.ext.tags.*"]


def test_a_legacy_name_that_is_patched_in_another_module_is_reported() -> None:
    result = run(
        "from app import tracing\n\n\ndef test(monkeypatch):\n"
        '    monkeypatch.setattr(tracing, "Config", None)\n'
        '    monkeypatch.setattr(tracing, "start", None)\n',
        facts={"app.tracing.Config": Fact("name", "jaeger_client.Config")},
    )
    assert left(result) == ['5: "Config"']


def test_the_module_tracer_stands_below_an_import_that_follows_one_for_type_checkers() -> None:
    check(
        """\
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            import opentracing
        import opentracing as o
        def f() -> "opentracing.Span":
            return o.tracer.start_span("x")
        """,
        """\
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            pass
        from opentelemetry import trace

        tracer = trace.get_tracer(__name__)

        def f() -> "trace.Span":
            return tracer.start_span("x")
        """,
    )


def test_a_block_of_an_import_and_what_goes_with_it_keeps_a_pass() -> None:
    check(
        """\
        def register(tracer_of_ours, is_global):
            import opentracing
            ours = opentracing.tracer
            if is_global:
                import opentracing
                opentracing.tracer = ours
        """,
        """\
        def register(tracer_of_ours, is_global):
            from opentelemetry import trace
            ours = trace.get_tracer(__name__)
            if is_global:
                pass
        """,
    )


def test_an_import_goes_where_a_parameter_or_variable_has_its_name() -> None:
    check(
        """\
        from opentracing import global_tracer, tags
        def seen(tags=None):
            return len(tags)
        def counted(names):
            tags = len(names)
            return tags
        def work():
            with global_tracer().start_active_span("work") as scope:
                scope.span.set_tag(tags.ERROR, True)
        """,
        """\
        from opentelemetry import trace

        tracer = trace.get_tracer(__name__)

        def seen(tags=None):
            return len(tags)
        def counted(names):
            tags = len(names)
            return tags
        def work():
            with tracer.start_as_current_span("work") as span:
                span.set_status(trace.StatusCode.ERROR)
        """,
    )


def test_an_import_that_is_a_parameters_default_stays() -> None:
    result = run("from opentracing import tags\n\n\ndef f(tags=tags):\n    return tags\n")
    assert result.source.startswith(b"from opentracing import tags\n")
