"""Jaeger's `Config` becomes an OpenTelemetry `TracerProvider`."""

from __future__ import annotations

import ast

from codemods.edits import Part
from codemods.model import Safety
from codemods.provider import (
    becomes_global,
    free_name,
    port_note,
    provider_lines,
    provider_setters,
)
from codemods.registry import define
from codemods.rules.optional_import import tested_import
from codemods.scopes import holder, occurrences
from codemods.setup import BuiltAtRunTime, Plan, is_run_time, read_config
from codemods.site import CannotRewrite, Change, File, Report, Site
from codemods.sites import is_tested

rule = define(
    code="JO101",
    title="Config to TracerProvider",
    url="https://opentelemetry.io/docs/languages/python/exporters/#usage",
    safety=Safety.SAFE,
    explanation="""\
`Config(...)` becomes a `TracerProvider` with resource, sampler and a batch processor that sends
OTLP to the host the agent had; `initialize_tracer()` sets it as the global provider,
`new_tracer()` does not. The ports are OTLP's: 4317 for gRPC, 4318 for HTTP (`--protocol`);
`--endpoint-from-env` leaves the address to `OTEL_EXPORTER_OTLP_ENDPOINT`. A constant sampler of 1
is OpenTelemetry's default; without a sampler jaeger-client sampled 0.1 %, which is written out.
`JAEGER_AGENT_HOST` and `JAEGER_TAGS`, which jaeger-client read by itself, are
`OTEL_EXPORTER_OTLP_ENDPOINT` and `OTEL_RESOURCE_ATTRIBUTES` now. A configuration that only a run
can tell goes to `shim.configure`, which speaks the same protocol, and sets provider and propagators
where `initialize_tracer()` follows; then every branch that makes one does. Spans travel as
`traceparent`; with `--propagation both` also as before, under the header names the configuration
gives.
""",
    examples=(
        (
            """\
from jaeger_client import Config


def init_tracer(service):
    config = Config(
        config={
            "sampler": {"type": "const", "param": 1},
            "local_agent": {"reporting_host": "jaeger", "reporting_port": 6831},
            "logging": True,
        },
        service_name=service,
    )
    return config.initialize_tracer()
""",
            """\
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def init_tracer(service):
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: service}))
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint="http://jaeger:4317", insecure=True))
    )
    trace.set_tracer_provider(provider)
    return trace.get_tracer(__name__)
""",
        ),
    ),
    minutes=20,
)
_MAKERS = frozenset({"initialize_tracer", "new_tracer"})


@rule.symbol("jaeger_client.Config")
def config(site: Site) -> Change | Report | None:
    call = site.call
    if call is None:
        if not isinstance(site.node, ast.Name) or not is_tested(site.file, site.node):
            return None
        return tested_import(site, site.node, "opentelemetry", "trace")
    change = site.change("the configuration becomes a provider")
    parent = site.parent
    if isinstance(parent, ast.Attribute) and parent.attr in _MAKERS:
        return change.depends_on(parent)  # `Config(...).initialize_tracer()` is rewritten as one
    statement = site.statement
    target = _target(statement, call)
    if isinstance(target, ast.Name) and (maker := only_use(site.file, target)) is not None:
        change.message = "what it says stands where the tracer is made"
        return change.depends_on(maker.func).remove(statement)
    passed_on = _passed_on(site.file, target) if target is not None else []
    change.depends_on(*passed_on)
    try:
        plan = read_config(change, call)
    except BuiltAtRunTime:
        early = target is not None and _is_set_where_made(site.file, target)
        return _at_run_time(site, call, is_global=early).depends_on(*passed_on)
    name = _new_name(site.file, target)
    _finish(change, plan)
    if target is not None and _is_early(site.file, target):
        change.advise(
            "The exporter is made at import now: where the process forks after that, move these "
            "lines to where `initialize_tracer` was called."
        )
    if name is not None and target is not None:
        lines = provider_lines(plan, name)
        if _is_set_where_made(site.file, target):
            lines.append((f"{change.use('opentelemetry', 'trace')}.set_tracer_provider({name})",))
        if name != site.file.text(target):
            for use in occurrences(site.file, target):
                change.replace(use, name)
        return change.replace_statement(statement, *lines)
    _check_hoistable(site, call)
    name = free_name(site.file, call, "provider", "tracer_provider")
    change.before(statement, *provider_lines(plan, name))
    return change.replace(call, name)


def _is_early(file: File, target: ast.expr) -> bool:
    """Whether a module makes the configuration, and only functions its tracer."""
    here = file.function(target)
    makers = [
        one
        for one in occurrences(file, target)
        if getattr(file.parents[one], "attr", "") == "initialize_tracer"
    ]
    later = [one for one in makers if file.function(one) is not here]
    return isinstance(here, ast.Module) and makers != [] and later == makers


def _passed_on(file: File, target: ast.expr) -> list[ast.expr]:
    """The `config.initialize_tracer` that are not called here: a provider has no such method."""
    members = [file.parents[use] for use in occurrences(file, target)]
    return [
        one
        for one in members
        if isinstance(one, ast.Attribute)
        and one.attr in _MAKERS
        and getattr(file.parents[one], "func", None) is not one
    ]


def only_use(file: File, target: ast.Name) -> ast.Call | None:
    """The one `config.create_tracer(...)` that a configuration is for, in its own block."""
    others = [use for use in occurrences(file, target) if use is not target]
    made = [_create_tracer(file, use) for use in others]
    call = next(filter(None, made), None)
    if call is None or not _is_bound_once(file, target):
        return None
    inside = all(use in ast.walk(call) for use in others)
    near = file.statement(call) in file.block(file.statement(target))
    return call if inside and near else None


def _is_bound_once(file: File, target: ast.Name) -> bool:
    return _bindings(file, target) == 1


def _create_tracer(file: File, use: ast.expr) -> ast.Call | None:
    member = file.parents[use]
    call = file.parents[member]
    is_call = isinstance(member, ast.Attribute) and member.attr == "create_tracer"
    return call if is_call and isinstance(call, ast.Call) else None


def _is_set_where_made(file: File, owner: ast.expr) -> bool:
    """Whether each `Config(...)` of a variable sets its provider itself, as the shim does in one.

    So it is where nothing else is bound to the variable and its tracers are global ones.
    """
    made = _made(file, owner)
    return (
        any(is_run_time(file, one) for one in made)
        and len(made) == _bindings(file, owner)
        and _makers(file, owner) == {"initialize_tracer"}
    )


def _bindings(file: File, owner: ast.expr) -> int:
    """How often a variable or attribute is bound."""
    if isinstance(owner, ast.Attribute):
        stores = [one for one in occurrences(file, owner) if not _is_read(one)]
        return len(stores)
    assert isinstance(owner, ast.Name)
    scope = holder(file, owner)
    scopes = [
        holder(file, one) if isinstance(one, ast.Name) else file.function(one)
        for one in file.bound.get(owner.id, ())
    ]
    return scopes.count(scope)


def _is_read(node: ast.expr) -> bool:
    return isinstance(getattr(node, "ctx", None), ast.Load)


def _makers(file: File, owner: ast.expr) -> set[str]:
    """Which of the methods that make a tracer are called on a variable."""
    parents = [file.parents[one] for one in occurrences(file, owner)]
    return {one.attr for one in parents if isinstance(one, ast.Attribute)} & _MAKERS


def _at_run_time(site: Site, call: ast.Call, *, is_global: bool) -> Change:
    """The shim translates a configuration that only a run can tell, and sets the provider."""
    config = _given(call, 0, "config")
    if config is None:
        raise CannotRewrite("Config has no configuration")
    change = site.change("the configuration is built at run time, so `shim` translates it then")
    change.advice = "Needs the package jaeger2otlp[shim] in the service."
    service = _given(call, 2, "service_name")
    tail: tuple[Part, ...] = (", service_name=", service) if service is not None else ()
    protocol = "grpc" if site.options.protocol == "grpc" else "http/protobuf"
    tail = (*tail, f', protocol="{protocol}"')
    if not is_global:
        tail = (*tail, ", set_global=False")
        change.advice += " It sets no propagators here, whatever the configuration says of them."
    return change.replace(call, f"{change.use('shim', 'configure')}(", config, *tail, ")")


def _given(call: ast.Call, index: int, name: str) -> ast.expr | None:
    """An argument by place or name."""
    if any(keyword.arg is None for keyword in call.keywords):
        raise CannotRewrite("the arguments of Config come from `**`")
    named = next((keyword.value for keyword in call.keywords if keyword.arg == name), None)
    return named or (call.args[index] if len(call.args) > index else None)


def _finish(change: Change, plan: Plan) -> None:
    if plan.notes:
        change.message += "; " + "; ".join(plan.notes)
    change.advise(plan.propagation_note, port_note(change, plan.port))
    if plan.exports and plan.host is None and not change.file.options.endpoint_from_env:
        change.advise("JAEGER_AGENT_HOST is not read any more, OTEL_EXPORTER_OTLP_ENDPOINT is.")


def _target(statement: ast.stmt, call: ast.Call) -> ast.expr | None:
    if isinstance(statement, ast.Assign) and statement.value is call:
        return statement.targets[0] if len(statement.targets) == 1 else None
    if isinstance(statement, ast.AnnAssign) and statement.value is call:
        return statement.target
    return None


def _new_name(file: File, target: ast.expr | None) -> str | None:
    """`provider` for a local variable only used to make tracers, else the old name."""
    if isinstance(target, ast.Attribute):
        return file.text(target)
    if not isinstance(target, ast.Name):
        return None
    others = [use for use in occurrences(file, target) if use is not target]
    makers = all(
        isinstance(parent := file.parents[use], ast.Attribute) and parent.attr in _MAKERS
        for use in others
    )
    if makers and _is_bound_once(file, target) and not _is_public(file, target):
        return free_name(file, target, "provider", "tracer_provider")
    return target.id


def _is_public(file: File, target: ast.Name) -> bool:
    """Whether code elsewhere may know the name: one of a module that is imported, or a class."""
    for around in file.ancestors(target):
        match around:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return holder(file, target) is not around
            case ast.ClassDef():
                return True
            case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
                here = file.function(target)
                return any(file.function(one) is not here for one in occurrences(file, target))
    return True


@rule.member("config", "initialize_tracer")
def initialize_tracer(site: Site) -> Change:
    return _make(site, is_global=True)


@rule.member("config", "new_tracer")
def new_tracer(site: Site) -> Change:
    return _make(site, is_global=False)


def _make(site: Site, *, is_global: bool) -> Change:
    file, call, owner = site.file, site.call, site.owner
    if call is None or owner is None:
        raise CannotRewrite("the method is passed on without being called")
    is_global = is_global or becomes_global(file, call)
    change = site.change("the provider is set, and gives the tracer")
    statement = site.statement
    bare = isinstance(statement, ast.Expr) and statement.value is call
    if is_global and (line := _other_provider(file)):
        if bare or any(is_run_time(file, one) for one in _made(file, owner)):
            raise CannotRewrite(f"there is one global provider, and line {line} sets another")
        change.unsafe = f"line {line} may keep the global provider; this one is its tracer's alone"
        is_global = False
    name: Part = owner
    if isinstance(owner, ast.Call):
        if file.symbol(owner.func) != "jaeger_client.Config":
            raise CannotRewrite("the configuration comes from a call")
        try:
            plan = read_config(change, owner)
        except BuiltAtRunTime:
            return _chained_at_run_time(site, owner, is_global=is_global)
        _check_hoistable(site, call)
        name = free_name(file, call, "provider", "tracer_provider")
        _finish(change, plan)
        change.before(statement, *provider_lines(plan, name))
    made = _made(file, owner)
    change.depends_on(*(one.func for one in made))
    whole = _alternative(file, call)
    if not is_global:
        file.memo["provider", call] = name
        return change.replace(whole, name, ".get_tracer(__name__)")
    if not isinstance(owner, ast.Call) and _is_set_where_made(file, owner):
        if bare:
            return change.remove(statement)
        return change.replace(whole, name, ".get_tracer(__name__)")
    trace = change.use("opentelemetry", "trace")
    setting = (f"{trace}.set_tracer_provider(", name, ")")
    if bare:
        return change.replace_statement(statement, setting)
    _check_hoistable(site, call)
    change.before(statement, setting)
    return change.replace(whole, f"{trace}.get_tracer(__name__)")


def _other_provider(file: File) -> int:
    """The line in which OpenTelemetry code that was here before sets a global provider, or 0.

    It takes only the first, and leaves it at a warning.
    """
    return min((call.lineno for call in provider_setters(file)), default=0)


def _chained_at_run_time(site: Site, owner: ast.Call, *, is_global: bool) -> Change:
    made = Site(site.file, owner.func, "jaeger_client.Config")
    change = _at_run_time(made, owner, is_global=is_global)
    file, call, statement = site.file, site.call, site.statement
    assert call is not None
    whole = _alternative(file, call)
    if is_global or not isinstance(statement, ast.Assign) or statement.value is not call:
        return change.replace(whole, owner, ".get_tracer(__name__)")
    name = free_name(file, call, "provider", "tracer_provider")
    file.memo["provider", call] = name
    change.before(statement, (f"{name} = ", owner))
    return change.replace(whole, f"{name}.get_tracer(__name__)")


def _alternative(file: File, call: ast.Call) -> ast.expr:
    """In `config.initialize_tracer() or opentracing.global_tracer()` the whole, else the call."""
    parent = file.parents[call]
    if not (isinstance(parent, ast.BoolOp) and isinstance(parent.op, ast.Or)):
        return call
    tracers = all(file.kind(value) == "tracer" for value in parent.values)
    return parent if tracers and parent.values[0] is call else call


def _made(file: File, owner: ast.expr) -> list[ast.Call]:
    """The `Config(...)` calls that a variable or attribute may hold."""
    values = [getattr(file.parents[one], "value", None) for one in occurrences(file, owner)]
    return [
        value
        for value in values
        if isinstance(value, ast.Call) and file.symbol(value.func) == "jaeger_client.Config"
    ]


def _check_hoistable(site: Site, call: ast.Call) -> None:
    """Raise where a statement before the one around a call would change what is evaluated when."""
    node: ast.AST = call
    while not isinstance(node, ast.stmt):
        node = site.file.parents[node]
        if isinstance(
            node, ast.Lambda | ast.IfExp | ast.comprehension | ast.ListComp | ast.DictComp
        ):
            raise CannotRewrite("the tracer is made inside an expression; write it as a statement")
    if not isinstance(node, ast.Assign | ast.AnnAssign | ast.Return | ast.Expr | ast.With):
        raise CannotRewrite("the tracer is made inside a compound statement")


@rule.member("config", "_initialized", "_initialized_lock", "*")
def other(site: Site) -> Report:
    return Report(
        f"`{site.member}` of a Config has no counterpart in a provider",
        "Keep the value in a variable of your own, or drop the use.",
    )


@rule.symbol("jaeger_client.Config._initialized")
def initialized(site: Site) -> Change | Report:
    """Resetting `Config._initialized` allowed a second initialisation; nothing forbids one now."""
    statement = site.statement
    if isinstance(statement, ast.Assign) and statement.targets == [site.node]:
        return site.change("a provider may be made again at any time").remove(statement)
    return Report("Config keeps no state any more", "Drop the test.")
