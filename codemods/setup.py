"""Jaeger's `Config` and `Tracer` as the set-up of an OpenTelemetry provider."""

from __future__ import annotations

import ast
import itertools
from dataclasses import dataclass, field

from codemods.edits import Part
from codemods.emit import is_none, literal_key, may_be_none, value_type
from codemods.site import CannotRewrite, Change, File, tight
from codemods.source import Span
from codemods.starting import dict_display

Line = tuple[Part, ...]

SPANS = "opentelemetry.sdk.trace"
EXPORT = "opentelemetry.sdk.trace.export"
SAMPLING = "opentelemetry.sdk.trace.sampling"
RESOURCES = "opentelemetry.sdk.resources"
EXPORTERS = {
    "grpc": "opentelemetry.exporter.otlp.proto.grpc.trace_exporter",
    "http": "opentelemetry.exporter.otlp.proto.http.trace_exporter",
}

# Keys of the Config dict without a counterpart, and what to say of them ("" for nothing).
DROPPED = {
    "logging": "",
    "enabled": "",  # never read by initialize_tracer
    "generate_128bit_trace_id": "trace ids always have 128 bits now",
    "max_traceback_length": "",
    "throttler": "debug spans are no longer throttled",
    "sampling_refresh_interval": "",
    "max_operations": "",
    "metrics": "",
}

# The headers of Jaeger's own propagation, by the keys that rename them.
HEADERS = {
    "trace_id_header": "uber-trace-id",
    "baggage_header_prefix": "uberctx-",
    "debug_id_header": "jaeger-debug-id",
}


class BuiltAtRunTime(CannotRewrite):
    """The configuration is not written out, so only `shim` can translate it, when it is there."""


@dataclass(slots=True)
class Plan:
    """The arguments of a provider to be built, collected from a legacy set-up."""

    change: Change
    service: ast.expr | None = None
    tags: ast.expr | None = None
    sampler: Line = ()
    host: ast.expr | None = None
    port: ast.expr | None = None
    exports: bool = True
    processor: list[Line] = field(default_factory=list)
    limits: Line = ()
    exporter: ast.expr | None = None
    b3: bool = False
    headers: dict[str, ast.expr] = field(default_factory=dict)  # those that are renamed
    hands_on: bool = False  # nothing but the caller's context: no spans of its own
    notes: list[str] = field(default_factory=list)

    def doubt(self, precondition: str) -> None:
        """State a precondition that is not proved."""
        if not self.change.unsafe:
            self.change.unsafe = precondition

    def rename_header(self, key: str, value: ast.expr) -> None:
        """Take a header's name, which only `--propagation both` keeps, for what it is."""
        if literal_key(self.change.file, value) == HEADERS[key]:
            return
        self.headers[key] = value
        if key == "debug_id_header" and self.change.file.options.propagation != "both":
            self.notes.append("the debug id header is no longer read")

    @property
    def propagation_note(self) -> str:
        """What breaks for services that are not migrated yet."""
        file = self.change.file
        if self.b3 or file.options.propagation == "both":
            return ""
        header = HEADERS["trace_id_header"]
        if (renamed := self.headers.get("trace_id_header")) is not None:
            header = literal_key(file, renamed) or file.text(renamed)
        return (
            f"Spans now travel as `traceparent`: services that still speak `{header}` start new "
            "traces until they are migrated too; `--propagation both` speaks both."
        )


def read_config(change: Change, call: ast.Call) -> Plan:
    """What a `Config(...)` call says. Raises `CannotRewrite` where only a run can tell."""
    plan = Plan(change)
    parameters = (
        "config",
        "metrics",
        "service_name",
        "metrics_factory",
        "validate",
        "scope_manager",
    )
    found: dict[str, ast.expr] = dict(zip(parameters, call.args, strict=False))
    for keyword in call.keywords:
        if keyword.arg is None:
            raise CannotRewrite("the arguments of Config come from `**`")
        found[keyword.arg] = keyword.value
    plan.service = found.get("service_name")
    _metrics(plan, found.get("metrics_factory"))
    _scope_manager(plan, found.get("scope_manager"))
    config = found.get("config")
    if config is None:
        raise CannotRewrite("Config has no configuration")
    entries = _entries(change.file, config)
    if "sampler" not in entries:
        _no_sampler(plan)
    for key, value in entries.items():
        _read(plan, key, value)
    if config is not _display(change.file, config):
        _drop_variable(change, config)
    return plan


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
    return file.memo["set up"]  # type: ignore[return-value]


def _is_set(node: ast.AST) -> bool:
    return isinstance(getattr(node, "ctx", None), ast.Store)


def is_run_time(file: File, call: ast.Call) -> bool:
    """Whether only a run can tell what a `Config(...)` says, so that `shim` is asked then."""
    if ("run time", call) not in file.memo:
        found = False
        try:
            read_config(Change(file, ""), call)
        except BuiltAtRunTime:
            found = True
        except CannotRewrite:
            pass
        file.memo["run time", call] = found
    return bool(file.memo["run time", call])


def _display(file: File, node: ast.expr) -> ast.Dict | None:
    return node if isinstance(node, ast.Dict) else dict_display(file, node)


def _entries(file: File, node: ast.expr) -> dict[str, ast.expr]:
    display = _display(file, node)
    if display is None:
        raise BuiltAtRunTime("the configuration is built at run time")
    entries = {}
    for key, value in zip(display.keys, display.values, strict=True):
        name = literal_key(file, key)
        if not name:
            raise BuiltAtRunTime("a key of the configuration is known only at run time")
        entries[name] = value
    return entries


def _drop_variable(change: Change, config: ast.expr) -> None:
    """Delete `config = {...}` of a function where nothing but the Config call uses it.

    A module's stays: another module may import it.
    """
    assert isinstance(config, ast.Name)
    file = change.file
    function = file.function(config)
    if function is not file.source.tree and len(file.uses(config.id, function)) == 2:
        bound = next(one for one in file.bound[config.id] if file.function(one) is function)
        change.remove(file.statement(bound))


def _metrics(plan: Plan, factory: ast.expr | None) -> None:
    if factory is not None and not is_none(factory):
        plan.notes.append("the client's own metrics are gone")


def _scope_manager(plan: Plan, manager: ast.expr | None) -> None:
    if manager is None or is_none(manager):
        return
    if plan.change.file.kind(manager) != "scope_manager" or not isinstance(manager, ast.Call):
        plan.doubt("the custom scope manager does what OpenTelemetry's context does")


def _read(plan: Plan, key: str, value: ast.expr) -> None:
    reader = _READERS.get(key)
    if reader is not None:
        reader(plan, value)
    elif key in HEADERS:
        plan.rename_header(key, value)
    elif key in DROPPED:
        if DROPPED[key]:
            plan.notes.append(DROPPED[key])
    else:
        plan.doubt(f"`{key}`, which jaeger-client does not know, is not needed")


def _read_service(plan: Plan, value: ast.expr) -> None:
    plan.service = value


def _read_tags(plan: Plan, value: ast.expr) -> None:
    plan.tags = value


def _read_agent(plan: Plan, value: ast.expr) -> None:
    display = _display(plan.change.file, value)
    if display is None:
        raise BuiltAtRunTime("the agent's address is known only at run time")
    for key, part in zip(display.keys, display.values, strict=True):
        name = literal_key(plan.change.file, key)
        if name == "reporting_host":
            plan.host = part
        elif name == "reporting_port":
            plan.port = part
        elif name not in ("sampling_port", "enabled"):
            plan.doubt(f"`{name}` in `local_agent` is not needed")


def _read_batch(plan: Plan, value: ast.expr) -> None:
    if not (isinstance(value, ast.Constant) and value.value in (1, "1")):
        plan.processor.append(("max_export_batch_size=", *_integer(plan.change.file, value)))


def _read_queue(plan: Plan, value: ast.expr) -> None:
    plan.processor.append(("max_queue_size=", *_integer(plan.change.file, value)))


def _read_flush(plan: Plan, value: ast.expr) -> None:
    if isinstance(value, ast.Constant) and isinstance(value.value, int | float):
        plan.processor.append((f"schedule_delay_millis={int(value.value * 1000)}",))
    else:
        millis = ("int(float(", value, ") * 1000)")
        plan.processor.append(("schedule_delay_millis=", *millis))


def _integer(file: File, value: ast.expr) -> Line:
    if value_type(file, value) == "int":
        return (value,)
    return ("int(", value, ")")


def _read_propagation(plan: Plan, value: ast.expr) -> None:
    if isinstance(value, ast.Constant) and value.value == "b3":
        plan.b3 = True
    elif not is_none(value) and not (isinstance(value, ast.Constant) and value.value == "jaeger"):
        plan.doubt("the propagation is not `b3`")


def _read_length(plan: Plan, value: ast.expr) -> None:
    limits = plan.change.use(SPANS, "SpanLimits")
    plan.limits = (
        f"span_limits={limits}(max_attribute_length=",
        *_integer(plan.change.file, value),
        ")",
    )


def _no_sampler(plan: Plan) -> None:
    """Jaeger asked the agent, and sampled 0.1 % until it answered."""
    ratio = _parent_based(plan.change, f"{plan.change.use(SAMPLING, 'TraceIdRatioBased')}(0.001)")
    plan.sampler = ("sampler=", ratio)
    plan.notes.append(
        "no sampler was named, so jaeger-client asked its agent and sampled 0.1 % until it got an "
        "answer; the ratio is written out here"
    )


def _parent_based(change: Change, root: str) -> str:
    return f"{change.use(SAMPLING, 'ParentBased')}({root})"


def _read_sampler(plan: Plan, value: ast.expr) -> None:
    file = plan.change.file
    if isinstance(value, ast.Call):
        read_sampler_call(plan, value)
        return
    display = _display(file, value)
    if display is None:
        raise BuiltAtRunTime("the sampler is chosen at run time")
    parts = {
        literal_key(file, key): part for key, part in zip(display.keys, display.values, strict=True)
    }
    kind = parts.get("type")
    param = parts.get("param", parts.get("Param"))
    name = literal_key(file, kind)
    if kind is not None and not name:
        raise BuiltAtRunTime("the sampler is chosen at run time")
    _sampler(plan, name or "remote", param)


def _sampler(plan: Plan, kind: str, param: ast.expr | None) -> None:
    change = plan.change
    if kind == "const":
        _const(plan, param)
    elif kind in ("probabilistic", "remote"):
        ratio = change.use(SAMPLING, "TraceIdRatioBased")
        value: Line = ("0.001",) if param is None else _float(change.file, param)
        parent = change.use(SAMPLING, "ParentBased")
        plan.sampler = (f"sampler={parent}({ratio}(", *value, "))")
        if kind == "remote":
            plan.notes.append("the sampler no longer asks the agent for its rate")
    elif kind == "ratelimiting":
        plan.doubt("the rate limit may go: OpenTelemetry's SDK has none, so every trace is sampled")
    else:
        plan.doubt(f"the sampler `{kind}` may become the default, which samples every trace")


def _const(plan: Plan, param: ast.expr | None) -> None:
    change = plan.change
    if isinstance(param, ast.Constant):
        if param.value in (0, False, "0"):
            plan.sampler = ("sampler=", _parent_based(change, change.use(SAMPLING, "ALWAYS_OFF")))
        return
    if param is None:
        return
    on, off = change.use(SAMPLING, "ALWAYS_ON"), change.use(SAMPLING, "ALWAYS_OFF")
    parent = change.use(SAMPLING, "ParentBased")
    plan.sampler = (f"sampler={parent}({on} if ", param, f" else {off})")


def _float(file: File, value: ast.expr) -> Line:
    if value_type(file, value) in ("float", "int"):
        return (value,)
    return ("float(", value, ")")


def read_sampler_call(plan: Plan, call: ast.Call) -> None:
    """A sampler given as an object: `ConstSampler(True)`."""
    symbol = plan.change.file.symbol(call.func).rpartition(".")[2]
    param = call.args[0] if call.args else call.keywords[0].value if call.keywords else None
    kinds = {
        "ConstSampler": "const",
        "ProbabilisticSampler": "probabilistic",
        "RateLimitingSampler": "ratelimiting",
    }
    if symbol in kinds:
        _sampler(plan, kinds[symbol], param)
    else:
        plan.doubt("the sampler may become the default, which samples every trace")


_READERS = {
    "service_name": _read_service,
    "tags": _read_tags,
    "local_agent": _read_agent,
    "reporter_batch_size": _read_batch,
    "reporter_queue_size": _read_queue,
    "reporter_flush_interval": _read_flush,
    "propagation": _read_propagation,
    "max_tag_value_length": _read_length,
    "sampler": _read_sampler,
}


# Writing the provider.


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
        parts.extend((f"{change.use(RESOURCES, 'SERVICE_NAME')}: ", plan.service))
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
        entry: Line = ("**", value) if key is None else (key, ": ", value)
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
        isinstance(maker, ast.Attribute) and maker.attr in ("new_tracer", "create_tracer")
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
