"""OpenTelemetry's own shim of OpenTracing."""

from __future__ import annotations

from tests.codemods.helpers import check


def test_the_betas_shim_is_the_same() -> None:
    check(
        """\
        import opentracing
        from opentelemetry.ext.opentracing_shim import create_tracer
        from app import provider

        shim = create_tracer(otel_tracer_source=provider)
        opentracing.set_global_tracer(shim)
        """,
        """\
        from opentelemetry import trace
        from app import provider

        shim = provider.get_tracer(__name__)
        trace.set_tracer_provider(provider)
        """,
    )


def test_what_is_unwrapped_is_already_opentelemetrys() -> None:
    check(
        """\
        from opentelemetry.shim.opentracing_shim import TracerShim


        def work(tracer: TracerShim):
            with tracer.start_active_span("work") as scope:
                scope.span.unwrap().set_attribute("size", 1)
        """,
        """\
        from opentelemetry import trace


        def work(tracer: trace.Tracer):
            with tracer.start_as_current_span("work") as span:
                span.set_attribute("size", 1)
        """,
    )
