"""Legacy names without a counterpart that could be written in their place: recipes."""

from __future__ import annotations

import ast

from codemods.legacy import is_legacy
from codemods.model import Safety
from codemods.registry import define
from codemods.site import Report, Site

rule = define(
    code="JO109",
    title="names to replace by hand",
    url="https://opentelemetry.io/docs/languages/python/",
    safety=Safety.REPORT,
    explanation="""\
These have a counterpart of another shape in OpenTelemetry, or none: reporters are span processors
and exporters there, scope managers the context, a header sent by hand a propagator. The finding
carries the recipe.
""",
    minutes=15,
)
_PROCESSOR = "Write a SpanProcessor or SpanExporter and give it to provider.add_span_processor()."
_RECIPES = {
    "opentracing._reset_global_tracer": (
        "OpenTelemetry's provider can be set once in a process",
        "Set one provider with an InMemorySpanExporter for the whole test run, and clear() the "
        "exporter between tests.",
    ),
    "opentracing.ScopeManager": (
        "OpenTelemetry has one context, which asyncio, threads and greenlets each keep apart",
        "Drop it. Where spans have to follow an object of your own, keep the token of "
        "context.attach() on that object.",
    ),
    "jaeger_client.RemoteControlledSampler": (
        "OpenTelemetry's SDK for Python has no sampler that asks Jaeger",
        "Use ParentBased(TraceIdRatioBased(...)), or the remote sampler of jaeger2otlp[shim] by "
        "OTEL_TRACES_SAMPLER.",
    ),
    "jaeger_client.reporter.LoggingReporter": (
        "a reporter that logs spans",
        "provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))",
    ),
    "jaeger_client.reporter.CompositeReporter": (
        "several reporters at once",
        "Call provider.add_span_processor() once for each.",
    ),
    "jaeger_client.reporter.*": ("a reporter of Jaeger's client", _PROCESSOR),
    "jaeger_client.codecs.*": (
        "a codec of Jaeger's client",
        "Set a propagator with propagate.set_global_textmap(): B3MultiFormat, or the one for "
        "uber-trace-id of jaeger2otlp[shim].",
    ),
    "jaeger_client.metrics.*": (
        "the client's own metrics",
        "Drop it; the SDK's own metrics are switched on by OTEL_ settings.",
    ),
    "jaeger_client.metrics.prometheus.*": (
        "the client's own metrics",
        "Drop it; the SDK's own metrics are switched on by OTEL_ settings.",
    ),
    "jaeger_client.sampler.*": (
        "internals of Jaeger's samplers",
        "Write a Sampler of OpenTelemetry's SDK: should_sample() gets name, parent and attributes.",
    ),
}
_TRACER_PARTS = {
    "scope_manager": "Use trace.use_span() and context.attach(); there is no manager to ask.",
    "reporter": _PROCESSOR,
    "sampler": "provider.sampler of the SDK's TracerProvider.",
    "tags": "provider.resource.attributes of the SDK's TracerProvider.",
    "service_name": "provider.resource.attributes['service.name'] of the SDK's TracerProvider.",
    "random_id": "opentelemetry.sdk.trace.id_generator.RandomIdGenerator().",
    "report_span": _PROCESSOR,
}


@rule.symbol(*_RECIPES)
def by_hand(site: Site) -> Report | None:
    name = site.construct
    while name:
        found = _RECIPES.get(name) or _RECIPES.get(f"{name}.*")
        if found is not None:
            return Report(*found)
        name = name.rpartition(".")[0]
    return None


@rule.member("tracer", *_TRACER_PARTS)
def tracer_part(site: Site) -> Report:
    return Report(f"OpenTelemetry's tracers have no `{site.member}`", _TRACER_PARTS[site.member])


@rule.member("reporter", "report_span", "close", "*")
def reporter_part(site: Site) -> Report:
    return Report("a reporter is a span processor with an exporter now", _PROCESSOR)


@rule.member("span_context", "with_baggage_item", "debug_id", "*")
def context_part(site: Site) -> Report:
    return Report(
        f"OpenTelemetry's span contexts have no `{site.member}`",
        "Baggage is in the context: baggage.set_baggage(name, value, context).",
    )


@rule.string(r"uber-trace-id|uberctx-|jaeger-debug-id|jaeger-baggage")
def header(site: Site) -> Report:
    return Report(
        "a Jaeger header named by hand; the W3C propagator writes `traceparent` and `baggage`",
        "Forward `traceparent`, `tracestate` and `baggage` too, or set the propagator for "
        "uber-trace-id of jaeger2otlp[shim].",
    )


@rule.string(r"opentracing_(span|scope|tracer)")
def kept_by_the_middleware(site: Site) -> Report:
    return Report(
        "what the middleware of the legacy library kept on the request",
        "The span is trace.get_current_span(), a tracer trace.get_tracer(__name__).",
    )


@rule.string(r"jaeger_tracing")
def logger(site: Site) -> Report:
    return Report("the name of Jaeger's logger", 'OpenTelemetry logs to "opentelemetry" and below.')


@rule.string(r"\w+(?:\.\w+)*")
def dotted(site: Site) -> Report:
    parent = site.file.parents[site.node]
    patched = isinstance(parent, ast.Call) and "patch" in site.file.text(parent.func)
    name = site.construct.strip('"')
    return Report(
        "a legacy name that another module imports, looked up at run time; it goes with the import"
        if site.file.flow.is_borrowed(name) or not is_legacy(name)
        else "a legacy name in a string, looked up at run time",
        "Patch the name the rewritten module uses, or give it an in-memory exporter."
        if patched
        else "Put the name of the OpenTelemetry counterpart there.",
    )
