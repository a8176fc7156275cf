"""Jaeger's `Tracer`, made without a Config, becomes an OpenTelemetry provider."""

from __future__ import annotations

import ast

from codemods.emit import rename_member
from codemods.model import Safety
from codemods.provider import becomes_global, free_name, provider_lines
from codemods.registry import define
from codemods.rules.config import only_use
from codemods.rules.global_tracer import provider_was_set
from codemods.rules.types import known_type
from codemods.setup import HEADERS, SAMPLING, Plan, read_config, read_sampler_call
from codemods.site import CannotRewrite, Change, File, Report, Site
from codemods.sites import is_instance_test

rule = define(
    code="JO102",
    title="Tracer(...) to TracerProvider",
    url="https://opentelemetry.io/docs/languages/python/exporters/#usage",
    safety=Safety.SAFE,
    explanation="""\
A tracer made by hand from reporter and sampler becomes a provider of its own that is not made
global; so does `config.create_tracer(...)` where the configuration is made for nothing
else. A `NullReporter` means that nothing is exported, which is a provider without a processor; a
`B3Codec` means B3 headers. `one_span_per_rpc` gave a server's span the ids of its caller's: client
and server each have their span now. With a `NullReporter` as well the tracer only handed on what
it was given, in a mesh whose proxies make the spans: that is `NoOpTracerProvider`, which does so
since opentelemetry-api 1.40 (older ones lose the caller's context). Unlike jaeger-client it starts
no trace where none came in; and B3 goes on with 128-bit trace ids, without `X-B3-ParentSpanId`,
and as not sampled where the caller left that open.
""",
    examples=(
        (
            """\
from jaeger_client import ConstSampler, Tracer
from jaeger_client.codecs import B3Codec
from jaeger_client.reporter import NullReporter
from opentracing.propagation import Format

tracer = Tracer(
    one_span_per_rpc=True,
    service_name="productpage",
    reporter=NullReporter(),
    sampler=ConstSampler(decision=True),
    extra_codecs={Format.HTTP_HEADERS: B3Codec()},
)
""",
            """\
from opentelemetry.propagate import set_global_textmap
from opentelemetry.propagators.b3 import B3MultiFormat
from opentelemetry.trace import NoOpTracerProvider

provider = NoOpTracerProvider()
set_global_textmap(B3MultiFormat())
tracer = provider.get_tracer(__name__)
""",
        ),
    ),
    minutes=20,
)
_PARAMETERS = ("service_name", "reporter", "sampler", "metrics", "metrics_factory")
_UNNEEDED = frozenset({"metrics", "metrics_factory", "generate_128bit_trace_id",
                       "throttler", "max_traceback_length"})  # fmt: skip


_HANDED_ON = (
    "Needs opentelemetry-api 1.40 or later: older ones lose the caller's context. A request "
    "without a trace context is handed on without one; jaeger-client started a trace. "
)
_HANDED_ON_B3 = (
    "64-bit trace ids are widened to 128 bits with zeros, `X-B3-ParentSpanId` is not sent, and "
    "what came without `X-B3-Sampled` goes on as not sampled."
)
_STATEMENTS = (ast.Assign, ast.Return)
_GLOBAL = ("opentracing.tracer", "opentracing.global_tracer")


@rule.symbol("jaeger_client.Tracer")
def tracer_class(site: Site) -> Change | Report | None:
    call = site.call
    if call is None:
        return _asked_for(site) or known_type(site)
    arguments = site.arguments(*_PARAMETERS)
    change = site.change("the tracer gets a provider of its own")
    plan = Plan(change, service=arguments.pop("service_name", None))
    shares = arguments.pop("one_span_per_rpc", None)
    if shares is not None and _hands_on(plan, shares, arguments.get("reporter")):
        arguments = {name: arguments[name] for name in arguments if name == "extra_codecs"}
    for name, value in arguments.items():
        _read(plan, name, value)
    if plan.hands_on:
        change.advice = _HANDED_ON + (_HANDED_ON_B3 if plan.b3 else plan.propagation_note)
    elif plan.exports and plan.exporter is None:
        change.advice = plan.propagation_note
    statement = site.statement
    if not isinstance(statement, ast.Assign | ast.AnnAssign | ast.Return) or (
        statement.value is not call
    ):
        raise CannotRewrite("the tracer is made inside an expression; write it as a statement")
    name = free_name(site.file, call, "provider", "tracer_provider")
    return _made(plan, call, name)


def _asked_for(site: Site) -> Change | Report | None:
    """`isinstance(opentracing.tracer, jaeger_client.Tracer)`: whether Jaeger was set up.

    All of OpenTelemetry's tracers are `trace.Tracer`, also those that do nothing.
    """
    file, test = site.file, site.parent
    if isinstance(test, ast.Tuple):
        test = file.parents[test]
    if not is_instance_test(test):
        return None
    assert isinstance(test, ast.Call)
    if test.args[1:] == [site.node] and file.detail(test.args[0]) in _GLOBAL:
        return provider_was_set(site, test)
    return Report(
        "every OpenTelemetry tracer is a trace.Tracer, also one that does nothing",
        "Ask whether a provider was set: not isinstance(trace.get_tracer_provider(), "
        "trace.ProxyTracerProvider).",
    )


@rule.member("config", "create_tracer")
def create_tracer(site: Site) -> Change | Report:
    """A configuration that is only made to give a tracer of its own."""
    file, call, owner, statement = site.file, site.call, site.owner, site.statement
    made = _only_for(file, owner, call)
    if call is None or owner is None or made is None or not isinstance(statement, _STATEMENTS):
        raise CannotRewrite("the configuration is used for more than this tracer")
    change = site.change("the tracer gets a provider of its own").depends_on(made.func)
    plan = read_config(change, made)
    for name, value in site.arguments("reporter", "sampler", "throttler").items():
        if name == "sampler" and file.text(value) != f"{file.text(owner)}.sampler":
            plan.sampler, plan.notes = (), []  # what the configuration said of it is not asked
            change.imports = {one for one in change.imports if one[0] != SAMPLING}
        _read(plan, name, value)
    name = free_name(file, call, "provider", "tracer_provider")
    return _made(plan, call, name)


def _made(plan: Plan, call: ast.Call, name: str) -> Change:
    """A provider before the statement, and its tracer in the place of the call."""
    change, file = plan.change, plan.change.file
    lines = provider_lines(plan, name)
    if becomes_global(file, call):
        lines.append((f"{change.use('opentelemetry', 'trace')}.set_tracer_provider({name})",))
    file.memo["provider", call] = name
    file.memo["hands on", call] = plan.hands_on
    change.before(file.statement(call), *lines)
    return change.replace(call, f"{name}.get_tracer(__name__)")


def _only_for(file: File, owner: ast.expr | None, call: ast.Call | None) -> ast.Call | None:
    """The `Config(...)` that was bound to a name for this one call."""
    if not isinstance(owner, ast.Name):
        return None
    for bound in file.bound.get(owner.id, ()):
        parent = file.parents[bound]
        if isinstance(bound, ast.Name) and only_use(file, bound) is call:
            value = getattr(parent, "value", None)
            is_config = isinstance(value, ast.Call) and (
                file.symbol(value.func) == "jaeger_client.Config"
            )
            return value if is_config else None
    return None


def _read(plan: Plan, name: str, value: ast.expr) -> None:
    file = plan.change.file
    symbol = _symbol(file, value) if isinstance(value, ast.Call) else ""
    if name == "reporter" and symbol == "NullReporter":
        plan.exports = False
    elif name == "reporter" and file.kind(value) == "reporter":
        plan.exporter = value
        if file.detail(value) != "jaeger_client.reporter.InMemoryReporter":
            plan.doubt(f"`{file.text(value)}` becomes an exporter")
    elif name == "sampler" and isinstance(value, ast.Attribute) and file.kind(value) == "sampler":
        return  # the configuration's own
    elif name == "sampler" and isinstance(value, ast.Call) and symbol:
        read_sampler_call(plan, value)
    elif name == "extra_codecs" and "B3Codec" in file.text(value):
        plan.b3 = True
    elif name == "tags":
        plan.tags = value
    elif name in HEADERS:
        plan.rename_header(name, value)
    elif name == "scope_manager" and symbol:
        return
    elif name not in _UNNEEDED:
        plan.doubt(f"the {name} given to Tracer is replaced by OTLP's defaults")


def _hands_on(plan: Plan, shares: ast.expr, reporter: ast.expr | None) -> bool:
    """Whether `one_span_per_rpc` makes a tracer that only hands on the context it was given.

    So it is without a reporter; with one the trace just has another shape.
    """
    change = plan.change
    if not isinstance(shares, ast.Constant):
        plan.doubt("one_span_per_rpc, known only at run time, is not needed")
    elif shares.value:
        silent = isinstance(reporter, ast.Call) and _symbol(change.file, reporter) == "NullReporter"
        plan.hands_on = silent
        change.message = (
            "the caller's context is handed on as it came, and nothing is recorded"
            if silent
            else f"{change.message}; client and server each have their span"
        )
    return plan.hands_on


def _symbol(file: File, call: ast.Call) -> str:
    return file.symbol(call.func).rpartition(".")[2]


@rule.symbol("jaeger_client.reporter.InMemoryReporter")
def in_memory_reporter(site: Site) -> Change | Report | None:
    if site.call is None:
        return None
    change = site.change("the exporter that keeps spans in memory")
    change.depends_on(*_given_to(site.file, site.call))
    module = "opentelemetry.sdk.trace.export.in_memory_span_exporter"
    return change.replace(site.call, f"{change.use(module, 'InMemorySpanExporter')}()")


def _given_to(file: File, made: ast.Call) -> list[ast.expr]:
    """The legacy functions that a reporter is passed to, which must take an exporter then."""
    statement = file.statement(made)
    texts = set()
    if isinstance(statement, ast.Assign) and statement.value is made:
        texts = {file.text(target) for target in statement.targets}
    return [
        call.func
        for call in file.nodes
        if isinstance(call, ast.Call)
        and (call.func in file.flow.symbols or call.func in file.flow.members)
        for value in (*call.args, *(keyword.value for keyword in call.keywords))
        if value is made or (texts and file.text(value) in texts)
    ]


@rule.member("reporter", "get_spans")
def get_spans(site: Site) -> Change:
    assert isinstance(site.node, ast.Attribute)
    change = site.change("the spans kept in memory")
    rename_member(change, site.node, "get_finished_spans")
    return change


@rule.member("tracer", "one_span_per_rpc")
def one_span_per_rpc(site: Site) -> Change | Report:
    statement = site.statement
    if isinstance(statement, ast.Assign) and statement.targets == [site.node]:
        return site.change("client and server each have their span").remove(statement)
    return Report("client and server each have their span", "Drop the use.")
