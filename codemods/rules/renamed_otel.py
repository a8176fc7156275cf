"""Names that OpenTelemetry itself changed while it still had Jaeger exporters."""

from __future__ import annotations

import ast

from codemods.model import Safety
from codemods.registry import define
from codemods.site import CannotRewrite, Change, Site

rule = define(
    code="JO802",
    title="old names of OpenTelemetry beside a Jaeger exporter",
    url="https://github.com/open-telemetry/opentelemetry-python/blob/main/CHANGELOG.md",
    safety=Safety.SAFE,
    explanation="""\
Programs that use the first Jaeger exporters use names of OpenTelemetry's beta too: the processors
had `Export` in their names (until 1.0), instrumentations lay in `opentelemetry.ext` (until 0.10),
and `OTEL_EXPORTER_JAEGER_*` were constants of the SDK (until 1.22).
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
PROCESSORS = {
    f"{EXPORT}.BatchExportSpanProcessor": "BatchSpanProcessor",
    f"{EXPORT}.SimpleExportSpanProcessor": "SimpleSpanProcessor",
}


@rule.symbol(*PROCESSORS)
def processor(site: Site) -> Change:
    change = site.change("the processor under its name since 1.0")
    return change.replace(site.node, change.use(EXPORT, PROCESSORS[site.construct]))


@rule.symbol("opentelemetry.ext.*")
def extension(site: Site) -> Change:
    """`opentelemetry.ext.x` is `opentelemetry.instrumentation.x`."""
    module, _, member = site.construct.removeprefix("opentelemetry.ext.").rpartition(".")
    if not member.endswith("Instrumentor"):
        raise CannotRewrite(f"opentelemetry.ext.{module or member} has no successor by that name")
    change = site.change("the instrumentation where it is since 0.10")
    target = f"opentelemetry.instrumentation.{module}"
    if isinstance(site.node, ast.Name) and site.node.id == member:
        # The same name from another module: right once no use of the old import is left.
        change.depends_on(*site.file.uses(member, site.file.source.tree))
        change.imports.add((target, member, member))
        return change.replace(site.node, member)
    return change.replace(site.node, change.use(target, member))


@rule.symbol("opentelemetry.sdk.environment_variables.*")
def variable(site: Site) -> Change:
    change = site.change(
        "the name of the variable as a string",
        advice="Nothing of OpenTelemetry reads OTEL_EXPORTER_JAEGER_* any more: set "
        "OTEL_EXPORTER_OTLP_* where the service is deployed.",
    )
    return change.replace(site.node, f'"{site.construct.rpartition(".")[2]}"')


@rule.symbol("opentelemetry.trace.set_preferred_tracer_implementation")
def preferred(site: Site) -> Change:
    """A tracer was chosen by a function; now a provider is set."""
    statement = site.statement
    if not isinstance(statement, ast.Expr) or statement.value is not site.call:
        raise CannotRewrite("it is not called as a statement")
    change = site.change("sets the SDK's provider")
    trace = change.use("opentelemetry", "trace")
    provider = change.use("opentelemetry.sdk.trace", "TracerProvider")
    return change.replace(site.call, f"{trace}.set_tracer_provider({provider}())")


@rule.symbol("opentelemetry.trace.tracer_source")
def source(site: Site) -> Change:
    change = site.change("the provider under its name since 0.4")
    trace = change.use("opentelemetry", "trace")
    return change.replace(site.node, f"{trace}.get_tracer_provider")
