"""Names that OpenTelemetry itself changed while it still had Jaeger exporters."""

from __future__ import annotations

import ast

from codemods.emit import moved, rename_member
from codemods.model import Safety
from codemods.provider import CHOOSERS, service_resource, services_named
from codemods.registry import define
from codemods.site import CannotRewrite, Change, Report, Site

rule = define(
    code="JO802",
    title="old names of OpenTelemetry beside a Jaeger exporter",
    url="https://github.com/open-telemetry/opentelemetry-python/blob/main/CHANGELOG.md",
    safety=Safety.SAFE,
    explanation="""\
Programs that use the first Jaeger exporters use names of OpenTelemetry's beta too: the processors
had `Export` in their names (until 1.0), instrumentations lay in `opentelemetry.ext` (until 0.10),
a function chose the tracer, which had the processors (until 0.4) and the current span (until 0.10),
spans had `get_context()` (until 0.17), resources `labels` (until 0.15), and
`OTEL_EXPORTER_JAEGER_*` were constants of the SDK (until 1.22). What is neither
renamed nor moved is reported.
""",
    examples=(
        (
            """\
from opentelemetry.ext.requests import RequestsInstrumentor
from opentelemetry.sdk.trace.export import BatchExportSpanProcessor

processor = BatchExportSpanProcessor(exporter)
RequestsInstrumentor().instrument()
""",
            """\
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace.export import BatchSpanProcessor

processor = BatchSpanProcessor(exporter)
RequestsInstrumentor().instrument()
""",
        ),
    ),
)

EXPORT = "opentelemetry.sdk.trace.export"
SPANS = "opentelemetry.sdk.trace"
GRPC_EXPORTER = "opentelemetry.exporter.otlp.proto.grpc.trace_exporter"

# What has only another name or place today.
RENAMED = {
    f"{EXPORT}.BatchExportSpanProcessor": (EXPORT, "BatchSpanProcessor"),
    f"{EXPORT}.SimpleExportSpanProcessor": (EXPORT, "SimpleSpanProcessor"),
    f"{SPANS}.TracerSource": (SPANS, "TracerProvider"),
    "opentelemetry.trace.DefaultSpan": ("opentelemetry.trace", "NonRecordingSpan"),
    "opentelemetry.ext.otlp.trace_exporter.OTLPSpanExporter": (GRPC_EXPORTER, "OTLPSpanExporter"),
    "opentelemetry.exporter.otlp.trace_exporter.OTLPSpanExporter": (
        GRPC_EXPORTER,
        "OTLPSpanExporter",
    ),
    **{
        f"opentelemetry.ext.{module}.OpenTelemetryMiddleware": (
            f"opentelemetry.instrumentation.{module}",
            "OpenTelemetryMiddleware",
        )
        for module in ("asgi", "wsgi")
    },
}

# What works otherwise today, and how.
_PROPAGATE = "propagate.inject(carrier) and propagate.extract(carrier), of a plain dict."
GONE = {
    f"{SPANS}.tracer": "trace.get_tracer(__name__); processors are added to the TracerProvider.",
    "opentelemetry.trace.status.StatusCanonicalCode": (
        "span.set_status(trace.StatusCode.ERROR, description), or StatusCode.OK."
    ),
    "opentelemetry.propagators.inject": _PROPAGATE,
    "opentelemetry.propagators.extract": _PROPAGATE,
    "opentelemetry.propagators.set_global_httptextformat": "propagate.set_global_textmap(...).",
    "opentelemetry.propagators.set_global_textmap": "propagate.set_global_textmap(...).",
    "opentelemetry.exporter.zipkin.ZipkinSpanExporter": (
        "ZipkinExporter(endpoint=...) of opentelemetry.exporter.zipkin.json; the service's name "
        "belongs to the TracerProvider's resource."
    ),
}


@rule.symbol(*RENAMED)
def renamed(site: Site) -> Change:
    change = site.change("the same under today's name")
    return moved(site, change, *RENAMED[site.construct])


@rule.symbol(*GONE)
def gone(site: Site) -> Report:
    return Report(f"{site.construct} went with OpenTelemetry's beta", f"Now {GONE[site.construct]}")


# Members of spans and resources under today's name.
METHODS = {
    "get_context": "get_span_context",
    "is_recording_events": "is_recording",
    "labels": "attributes",
}


@rule.member("beta", *METHODS)
def method(site: Site) -> Change:
    assert isinstance(site.node, ast.Attribute)
    change = site.change("the same under today's name")
    rename_member(change, site.node, METHODS[site.member])
    return change


@rule.member("beta", "get_current_span", "use_span")
def of_the_tracer(site: Site) -> Change:
    change = site.change("a function, of no tracer, since 0.10")
    return change.replace(site.node, f"{change.use('opentelemetry', 'trace')}.{site.member}")


@rule.member("beta", "add_lazy_event")
def lazy(site: Site) -> Report:
    return Report("it went with OpenTelemetry's beta", "Now span.add_event(name, attributes).")


@rule.symbol("opentelemetry.ext.*")
def extension(site: Site) -> Change | Report:
    """`opentelemetry.ext.x` is `opentelemetry.instrumentation.x`."""
    module, _, member = site.construct.removeprefix("opentelemetry.ext.").rpartition(".")
    target = f"opentelemetry.instrumentation.{module.removeprefix('http_')}"
    if member.endswith("Instrumentor"):
        change = site.change("the instrumentation where it is since 0.10")
        return moved(site, change, target, member)
    if (module, member) == ("flask", "instrument_app") and site.call is not None:
        change = site.change("the instrumentation's method since 0.8")
        return change.replace(site.node, f"{change.use(target, 'FlaskInstrumentor')}().{member}")
    return Report(
        f"{site.construct} went with OpenTelemetry's beta",
        f"Now {target}, whose ...Instrumentor().instrument() does what such functions did."
        if module
        else "Exporters are in opentelemetry.exporter, the rest in opentelemetry.instrumentation.",
    )


@rule.symbol("opentelemetry.sdk.environment_variables.*")
def variable(site: Site) -> Change:
    change = site.change(
        "the name of the variable as a string",
        advice="Nothing of OpenTelemetry reads OTEL_EXPORTER_JAEGER_* any more: set "
        "OTEL_EXPORTER_OTLP_* where the service is deployed.",
    )
    return change.replace(site.node, f'"{site.construct.rpartition(".")[2]}"')


@rule.symbol(*CHOOSERS)
def preferred(site: Site) -> Change:
    """A tracer was chosen by a function; now a provider is set."""
    statement = site.statement
    if not isinstance(statement, ast.Expr) or statement.value is not site.call:
        raise CannotRewrite("it is not called as a statement")
    match site.call.args:
        case [ast.Lambda(body=ast.Call(func=func, args=[], keywords=[]))]:
            made = site.file.text(func).rpartition(".")[2]
        case _:
            made = ""
    if made not in ("Tracer", "TracerSource", "TracerProvider"):
        raise CannotRewrite(
            "what the function makes is not seen: trace.set_tracer_provider(TracerProvider(...))"
        )
    change = site.change("sets the SDK's provider")
    trace = change.use("opentelemetry", "trace")
    provider = change.use(SPANS, "TracerProvider")
    service = next(iter(services_named(site.file).values()), None)
    resource = service_resource(change, service) if service is not None else ()
    return change.replace(site.call, f"{trace}.set_tracer_provider({provider}(", *resource, "))")


@rule.symbol("opentelemetry.trace.tracer_source", "opentelemetry.trace.tracer_provider")
def source(site: Site) -> Change:
    change = site.change("the provider under its name since 0.6")
    trace = change.use("opentelemetry", "trace")
    return change.replace(site.node, f"{trace}.get_tracer_provider")


@rule.symbol("opentelemetry.trace.tracer")
def tracer(site: Site) -> Change:
    """Until 0.3 there was one tracer, and the processors were its own."""
    if site.call is None:
        raise CannotRewrite("the function is passed on without being called")
    file = site.file
    change = site.change("a tracer of the global provider")
    trace = change.use("opentelemetry", "trace")
    match file.parents[site.call]:
        case ast.Assign(targets=[ast.Name(id=name)]):
            uses: list[ast.expr] = [*file.uses(name, file.source.tree)]
        case _:
            uses = [site.call]
    for use in uses:
        parent = file.parents[use]
        if isinstance(parent, ast.Attribute) and parent.attr == "add_span_processor":
            change.replace(use, f"{trace}.get_tracer_provider()")
            if use is site.call:
                return change
    return change.replace(site.call, f"{trace}.get_tracer(__name__)")
