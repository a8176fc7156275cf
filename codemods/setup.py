"""A legacy set-up as a plan of the provider to be built."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from codemods.edits import Part
from codemods.site import CannotRewrite, Change, File, tight
from codemods.starting import dict_display
from codemods.values import is_none, literal_key, value_type

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
    batch: ast.expr | None = None
    queue: ast.expr | None = None
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
    if size := _batch_size(plan):
        plan.processor.append(size)
    if config is not _display(change.file, config):
        _drop_variable(change, config)
    return plan


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
        plan.batch = value


def _read_queue(plan: Plan, value: ast.expr) -> None:
    plan.queue = value
    plan.processor.append(("max_queue_size=", *_integer(plan.change.file, value)))


def _batch_size(plan: Plan) -> Line:
    """What is sent at once: OpenTelemetry's processor refuses more than its queue takes."""
    file, name = plan.change.file, "max_export_batch_size="
    batch = (f"{_BATCH_SIZE}",) if plan.batch is None else _integer(file, plan.batch)
    if plan.queue is None:
        return (name, *batch) if plan.batch is not None else ()
    most = _number(plan.queue)
    size = _BATCH_SIZE if plan.batch is None else _number(plan.batch)
    if most is None or size is None:
        return (f"{name}min(", *batch, ", ", *_integer(file, plan.queue), ")")
    is_default = plan.batch is None and most >= size
    return () if is_default else (f"{name}{min(most, size)}",)


def _number(value: ast.expr) -> int | None:
    return value.value if isinstance(value, ast.Constant) and type(value.value) is int else None


_BATCH_SIZE = 512  # OpenTelemetry's own


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
    asked = tight(change.file, param)
    plan.sampler = (f"sampler={parent}({on} if ", *asked, f" else {off})")


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
