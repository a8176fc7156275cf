"""The provider that a plan describes, its exporter and propagators, and who has it."""

from __future__ import annotations

import ast
import itertools

from codemods.edits import Part
from codemods.setup import (
    EXPORT,
    EXPORTERS,
    RESOURCES,
    SPANS,
    Line,
    Plan,
)
from codemods.site import Change, File, Report, bare, tight
from codemods.source import Span, last_name
from codemods.values import is_none, may_be_none

# Exporters of OpenTelemetry's beta, which named the service themselves.
BETA_EXPORTERS = ("opentelemetry.exporter.jaeger.JaegerSpanExporter",
                  "opentelemetry.ext.jaeger.JaegerSpanExporter")  # fmt: skip
# Its functions that took a function which makes the tracer or the provider.
CHOOSERS = tuple(
    f"opentelemetry.trace.set_preferred_tracer{what}_implementation"
    for what in ("", "_source", "_provider")
)

SET_ONCE = Report(
    "the global tracer of a process can be set only once in OpenTelemetry",
    "Set one provider with an InMemorySpanExporter for the whole test run, in conftest.py, "
    "and clear() the exporter before each test.",
)


def provider_lines(plan: Plan, name: str) -> list[Line]:
    """The statements that build the provider and, if asked, set the propagators."""
    change = plan.change
    if plan.hands_on:
        provider = change.use("opentelemetry.trace", "NoOpTracerProvider")
        return [(f"{name} = {provider}()",), *_propagator_lines(plan)]
    arguments: list[Line] = []
    if resource := _resource(plan):
        arguments.append(resource)
    if plan.sampler:
        arguments.append(plan.sampler)
    if plan.limits:
        arguments.append(plan.limits)
    provider = change.use(SPANS, "TracerProvider")
    lines: list[Line] = [_call(change.file, f"{name} = {provider}", arguments)]
    if plan.exporter is not None:
        simple = change.use(EXPORT, "SimpleSpanProcessor")
        lines.append((f"{name}.add_span_processor({simple}(", plan.exporter, "))"))
    elif plan.exports:
        lines.append(_processor(plan, name))
    lines.extend(_propagator_lines(plan))
    return lines


def _resource(plan: Plan) -> Line:
    change = plan.change
    if plan.service is None and plan.tags is None:
        return ()
    parts: list[Part] = [f"resource={change.use(RESOURCES, 'Resource')}.create({{"]
    if plan.service is not None:
        parts.extend((f"{change.use(RESOURCES, 'SERVICE_NAME')}: ", *bare(plan.service)))
        if may_be_none(change.file, plan.service):
            plan.notes.append("without a name jaeger-client raised; now it is `unknown_service`")
    if plan.tags is not None:
        comma = ", " if plan.service is not None else ""
        parts.extend((comma, *_entries_of(change, plan.tags)))
    parts.append("})")
    return tuple(parts)


def _entries_of(change: Change, tags: ast.expr) -> Line:
    """The entries of a dict display, or any mapping spread out."""
    if not isinstance(tags, ast.Dict) or not tags.keys:
        return ("**", *tight(change.file, tags))
    parts: list[Part] = []
    for key, value in zip(tags.keys, tags.values, strict=True):
        entry: Line = ("**", value) if key is None else (*bare(key), ": ", *bare(value))
        parts.extend((", " if parts else "", *entry))
    return tuple(parts)


def _call(file: File, head: str, arguments: list[Line]) -> Line:
    """A call on one line, or with a line for each argument where that would be long."""
    length = sum(_length(file, part) for argument in arguments for part in argument)
    wide = len(head) + length + 2 * len(arguments) > 88
    flat: list[Part] = [head, "("]
    for index, argument in enumerate(arguments):
        if wide:
            flat.extend(("\n    ", *argument, ","))
        else:
            flat.extend((", " if index else "", *argument))
    return (*flat, "\n)" if wide else ")")


def _length(file: File, part: Part) -> int:
    if isinstance(part, str):
        return len(part)
    start, end = part if isinstance(part, Span) else file.span(part)
    return end - start


def _processor(plan: Plan, name: str) -> Line:
    change = plan.change
    batch = change.use(EXPORT, "BatchSpanProcessor")
    exporter = exporter_call(change, plan.host)
    if len(exporter) == 1 and not plan.processor:
        return (f"{name}.add_span_processor({batch}(", *exporter, "))")
    if not plan.processor:
        return (f"{name}.add_span_processor(\n    {batch}(", *exporter, ")\n)")
    lines: list[Part] = [f"{name}.add_span_processor(\n    {batch}("]
    for argument in (exporter, *plan.processor):
        lines.extend(("\n        ", *argument, ","))
    return (*lines, "\n    )\n)")


def exporter_call(change: Change, host: ast.expr | None) -> Line:
    """`OTLPSpanExporter(...)` for an agent's host; the port is OTLP's."""
    options = change.file.options
    exporter = change.use(EXPORTERS[options.protocol], "OTLPSpanExporter")
    if host is None or is_none(host) or options.endpoint_from_env:
        return (f"{exporter}()",)
    tail = ":4317" if options.protocol == "grpc" else ":4318/v1/traces"
    insecure = ", insecure=True" if options.protocol == "grpc" else ""
    return (f"{exporter}(endpoint=", *url(change.file, host, tail), f"{insecure})")


def port_note(change: Change, port: ast.expr | None) -> str:
    """Who has set a port has to know that it is asked no more."""
    if port is None or isinstance(port, ast.Constant) or change.file.options.endpoint_from_env:
        return ""
    otlp = "4317" if change.file.options.protocol == "grpc" else "4318"
    return f"`{change.file.text(port)}` is not asked any more: the port is OTLP's, {otlp}."


def url(file: File, host: ast.expr, tail: str) -> Line:
    """`"http://host:port"` for a host that is a literal, a name, or any expression."""
    if isinstance(host, ast.Constant) and isinstance(host.value, str):
        return (f'"http://{host.value}{tail}"',)
    absent = " or 'localhost'" if _may_be_absent(file, host) else ""
    if (
        isinstance(host, ast.Name | ast.Attribute)
        and file.text(host).replace(".", "").isidentifier()
    ):
        return ('f"http://{', host, f'{absent}}}{tail}"')
    absent = ' or "localhost"' if absent else ""
    return ('"http://{}', tail, '".format(', host, absent, ")")


def _may_be_absent(file: File, host: ast.expr) -> bool:
    """Whether a host is read from the environment without a default."""
    if isinstance(host, ast.Call):
        name = getattr(host.func, "attr", "")
        return name in ("getenv", "get") and len(host.args) + len(host.keywords) == 1
    if isinstance(host, ast.Name):
        for bound in file.bound.get(host.id, ()):
            parent = file.parents[bound]
            if isinstance(parent, ast.Assign) and isinstance(parent.value, ast.Call):
                return _may_be_absent(file, parent.value)
    return may_be_none(file, host)


def _propagator_lines(plan: Plan) -> list[Line]:
    """The statement that sets the propagators, where the default will not do."""
    change = plan.change
    if plan.b3:
        setter = change.use("opentelemetry.propagate", "set_global_textmap")
        return [(f"{setter}({change.use('opentelemetry.propagators.b3', 'B3MultiFormat')}())",)]
    if change.file.options.propagation != "both":
        return []
    setter = change.use("opentelemetry.propagate", "set_global_textmap")
    composite = change.use("opentelemetry.propagators.composite", "CompositePropagator")
    w3c = change.use(
        "opentelemetry.trace.propagation.tracecontext", "TraceContextTextMapPropagator"
    )
    baggage = change.use("opentelemetry.baggage.propagation", "W3CBaggagePropagator")
    uber = change.use("shim.propagation", "UberTraceIdPropagator")
    renamed: list[Part] = []
    for key, header in plan.headers.items():
        renamed += (", " if renamed else "", f"{key}=", header)
    head = f"{setter}(\n    {composite}(\n        [{w3c}(), {baggage}(), {uber}("
    return [(head, *renamed, ")]\n    )\n)")]


def services_named(file: File) -> dict[ast.Call, ast.expr]:
    """What the beta's exporters call the service, by their calls in the order of the text."""
    named: dict[ast.Call, ast.expr] = {}
    for node in file.nodes:
        if isinstance(node, ast.Call) and file.symbol(node.func) in BETA_EXPORTERS:
            given = [one.value for one in node.keywords if one.arg == "service_name"]
            for service in (*node.args[:1], *given):
                named[node] = service
    return dict(sorted(named.items(), key=lambda item: file.span(item[0]).start))


def service_resource(change: Change, service: ast.expr) -> Line:
    """`resource=Resource.create({"service.name": ...})`."""
    resource = change.use(RESOURCES, "Resource")
    return (f'resource={resource}.create({{"service.name": ', *tight(change.file, service), "})")


def provider_setters(file: File) -> list[ast.Call]:
    """The calls of OpenTelemetry's `set_tracer_provider` that were here before."""
    return [
        node
        for node in file.nodes
        if isinstance(node, ast.Call) and last_name(node.func) == "set_tracer_provider"
    ]


def becomes_global(file: File, call: ast.Call) -> bool:
    """Whether a tracer is made only to be the global one: `opentracing.tracer = Tracer(...)`."""
    parent = file.parents[call]
    if isinstance(parent, ast.Assign) and len(parent.targets) == 1:
        return file.symbol(parent.targets[0]) == "opentracing.tracer"
    if isinstance(parent, ast.Call):
        return file.symbol(parent.func) == "opentracing.set_global_tracer"
    return False


def keeps_provider(file: File, maker: ast.AST) -> bool:
    """Whether a maker of a tracer gives it a provider of its own that is not the global one."""
    own = file.symbol(maker) == "jaeger_client.Tracer" or (
        not file.symbol(maker) and getattr(maker, "attr", "") in ("new_tracer", "create_tracer")
    )
    call = file.parents[maker]
    return own and not (isinstance(call, ast.Call) and becomes_global(file, call))


def free_name(file: File, node: ast.AST, *names: str) -> str:
    """The first name that the function around a node does not use and was not given before.

    Nor to the module, whose provider a function may close.
    """
    function = file.function(node)
    taken = {
        name
        for name, nodes in file.bound.items()
        if any(file.function(one) is function or isinstance(one, ast.arg) for one in nodes)
    }
    given = file.memo.setdefault(("given names", function), set())
    modules = file.memo.get(("given names", file.source.tree), set())
    assert isinstance(given, set)
    assert isinstance(modules, set)
    numbered = (f"{names[-1]}_{number}" for number in itertools.count(2))
    for name in itertools.chain(names, numbered):
        if name not in taken | given | modules and not file.uses(name, function):
            given.add(name)
            return name
    raise AssertionError("numbers end nowhere")


def set_up_in(file: File) -> list[ast.AST]:
    """Where a file sets the global tracer: while that is Jaeger's, so is what is done with it."""
    if "set up" not in file.memo:
        file.memo["set up"] = [
            *(
                node
                for node, owner in file.flow.members.items()
                if owner.kind == "config" and getattr(node, "attr", "") == "initialize_tracer"
            ),
            *(
                node
                for node, symbol in file.flow.symbols.items()
                if symbol == "opentracing.set_global_tracer"
                or (symbol == "opentracing.tracer" and _is_set(node))
            ),
        ]
    found: list[ast.AST] = file.memo["set up"]
    return found


def _is_set(node: ast.AST) -> bool:
    return isinstance(getattr(node, "ctx", None), ast.Store)
