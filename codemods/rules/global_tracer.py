"""The global tracer becomes the module's OpenTelemetry tracer."""

from __future__ import annotations

import ast
import re

from codemods.kinds import FIXTURE, HANDED_OUT, MOCK_TRACER
from codemods.model import Safety
from codemods.origins import place
from codemods.provider import SET_ONCE, keeps_provider
from codemods.registry import define
from codemods.site import CannotRewrite, Change, File, Report, Site
from codemods.values import is_none

rule = define(
    code="JO110",
    title="the global tracer",
    url="https://opentelemetry.io/docs/languages/python/instrumentation/#acquire-tracer",
    safety=Safety.SAFE,
    explanation="""\
`opentracing.tracer` and `opentracing.global_tracer()` become `trace.get_tracer(__name__)`. It may
be taken at import time: until a provider is set it is a proxy. The function itself, passed on to be
called later, becomes a lambda. `set_global_tracer` of a tracer that
`initialize_tracer` made says nothing new, since the provider is global already; where the tracer
has a provider of its own, that is made the global one, or it is reported if it is out of reach, and
also if it is a `MockTracer` that a fixture or a `setUp` makes for every test.
""",
    examples=(
        (
            """\
from opentracing import global_tracer

tracer = global_tracer()
""",
            """\
from opentelemetry import trace

tracer = trace.get_tracer(__name__)
""",
        ),
    ),
)


# What gives a tracer that is no new one.
_NO_PROVIDER = frozenset(
    f"opentracing.{one}" for one in ("Tracer", "tracer", "global_tracer", "get_global_tracer")
)
_STAYS = (
    "A provider that was set stays: where another tracer, or one that does nothing, took the place "
    "of the global one, its spans go on being exported; shutdown() of the provider ends that."
)
_PLACES = (ast.arguments, ast.keyword, ast.Call, ast.Assign, ast.Return, ast.Dict, ast.List)


@rule.symbol("opentracing.tracer")
def tracer(site: Site) -> Change | Report:
    node = site.node
    change = site.change("becomes the module's tracer")
    if isinstance(getattr(node, "ctx", None), ast.Store):
        return _set(site, change)
    parent = site.parent
    if isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Name):
        change.depends_on(*_put_back(site.file, parent.targets[0]))
    return change.replace(node, _expression(site, change))


def _setters(file: File) -> list[ast.AST]:
    """Where the file sets the global tracer."""
    return [
        node
        for node, symbol in file.flow.symbols.items()
        if node in file.parents
        and symbol in ("opentracing.tracer", "opentracing.set_global_tracer")
        and (symbol != "opentracing.tracer" or isinstance(getattr(node, "ctx", None), ast.Store))
    ]


def _put_back(file: File, saved: ast.Name) -> list[ast.AST]:
    """Where a global tracer that was saved under a name is set again."""
    return [
        node
        for node in _setters(file)
        if isinstance(parent := file.parents[node], ast.Assign)
        and file.text(parent.value) == saved.id
    ]


@rule.symbol("opentracing.global_tracer", "opentracing.get_global_tracer")
def global_tracer(site: Site) -> Change:
    call = site.call
    if call is None:
        return _function(site)
    change = site.change("becomes the module's tracer")
    return change.replace(call, _expression(site, change))


def _function(site: Site) -> Change:
    """`tracer=opentracing.global_tracer`, for whoever calls it later."""
    parent = site.parent
    around = site.file.parents[parent] if isinstance(parent, ast.keyword) else parent
    if not isinstance(parent, _PLACES) or getattr(around, "func", None) in _legacy(site):
        raise CannotRewrite("the function is passed on without being called")
    change = site.change("a function that gives the module's tracer")
    trace = change.use("opentelemetry", "trace")
    return change.replace(site.node, f"lambda: {trace}.get_tracer(__name__)")


def _legacy(site: Site) -> set[ast.AST]:
    return site.file.flow.symbols.keys() | site.file.flow.members.keys()


def _expression(site: Site, change: Change) -> str:
    """`trace.get_tracer(__name__)` where it is kept, the module's `tracer` where it is used."""
    parent = site.file.parents[site.call or site.node]
    if _is_compared(parent):
        raise CannotRewrite("each get_tracer() gives another object, which equals no other")
    if isinstance(parent, ast.Attribute):
        return change.tracer()
    return f"{change.use('opentelemetry', 'trace')}.get_tracer(__name__)"


def _is_compared(parent: ast.AST) -> bool:
    """`x is opentracing.tracer`, `self.assertIs(x, opentracing.tracer)`."""
    match parent:
        case ast.Compare(left=left, comparators=[right]):
            return not (is_none(left) or is_none(right))
        case ast.Call(func=ast.Attribute(attr=attr)):
            return re.match(r"assert(Is|IsNot|Equals?|NotEquals?)$", attr) is not None
    return False


def _set(site: Site, change: Change) -> Change | Report:
    """`opentracing.tracer = x`: whoever made x has set the provider."""
    statement = site.statement
    if not isinstance(statement, ast.Assign):
        raise CannotRewrite("the global tracer is bound in an unusual way")
    change.message = "the provider is global already"
    if statement.targets == [site.node]:
        return _registered(site, change, statement, statement.value)
    raise CannotRewrite("the global tracer is one of several targets")


@rule.symbol("opentracing.set_global_tracer")
def set_global_tracer(site: Site) -> Change | Report:
    call = site.call
    statement = site.statement
    if call is None or not isinstance(statement, ast.Expr) or statement.value is not call:
        raise CannotRewrite("set_global_tracer is not called as a statement")
    value = site.arguments("value").get("value")
    if value is None:
        raise CannotRewrite("its argument is missing")
    change = site.change("the provider is global already")
    return _registered(site, change, statement, value)


def _registered(
    site: Site, change: Change, statement: ast.stmt, value: ast.expr
) -> Change | Report:
    """Set the provider of a tracer that was made with one of its own; else nothing is to do."""
    file = site.file
    if _is_set_for_each_test(file, value):
        return SET_ONCE
    for node in file.nodes:
        if (
            isinstance(node, ast.Assign)
            and file.function(node) is file.function(statement)
            and any(file.text(target) == file.text(value) for target in node.targets)
            and (provider := file.memo.get(("provider", node.value))) is not None
        ):
            trace = change.use("opentelemetry", "trace")
            change.message = "the tracer's provider becomes the global one"
            change.depends_on(node.value)
            assert isinstance(provider, str | ast.expr)
            line = (f"{trace}.set_tracer_provider(", provider, ")")
            return change.replace_statement(statement, line)
    _check_makers(site, change, value)
    made = file.flow.kinds.get(value)
    if made is not None and made.detail in _NO_PROVIDER:
        change.advice = _STAYS
        change.depends_on(*(one for one in _setters(file) if one is not site.node))
    if file.kind(value) != "tracer":
        raise CannotRewrite(f"what makes `{file.text(value)}` is not known here")
    if isinstance(value, ast.Call):
        change.depends_on(value)
        return change.replace_statement(statement, value)
    return change.remove(statement)


def _is_set_for_each_test(file: File, tracer: ast.expr) -> bool:
    """Whether a MockTracer comes from a fixture, or is made where each test begins."""
    fact = file.flow.kinds.get(tracer)
    if fact is None or fact.kind != "tracer":
        return False
    if fact.detail == HANDED_OUT:
        return True
    function = file.function(tracer)
    name = getattr(function, "name", "")
    each = re.match("setUp$|setup(_method|_function)?$|test", name) is not None
    qualified = file.flow.scopes[function].qualified if function in file.flow.scopes else ""
    return fact.detail == MOCK_TRACER and (each or file.flow.own.get(qualified) == FIXTURE)


def _check_makers(site: Site, change: Change, value: ast.expr) -> None:
    """What comes from elsewhere has a global provider only where `initialize_tracer` made it."""
    file = site.file
    fact = file.flow.kinds.get(value)
    for maker in sorted(fact.made) if fact is not None else ():
        node = file.flow.makers.get(maker)
        if node is None:
            change.unsafe = f"the tracer made in {place(maker, file.flow.module)} is the global one"
        elif keeps_provider(file, node):
            raise CannotRewrite(
                f"the provider of the tracer made in {place(maker, file.flow.module)} is not at "
                "hand here, and is not the global one: set it with trace.set_tracer_provider"
            )


@rule.symbol("opentracing.is_global_tracer_registered")
def is_registered(site: Site) -> Change:
    call = site.call
    if call is None:
        raise CannotRewrite("the function is passed on without being called")
    return provider_was_set(site, call)


def provider_was_set(site: Site, asked: ast.Call) -> Change:
    """In the place of what asks whether there is a tracer of an implementation's."""
    change = site.change("asks whether a provider was set")
    trace = change.use("opentelemetry", "trace")
    text = f"isinstance({trace}.get_tracer_provider(), {trace}.ProxyTracerProvider)"
    parent = site.file.parents[asked]
    if isinstance(parent, ast.UnaryOp) and isinstance(parent.op, ast.Not):
        return change.replace(parent, text)
    bare = isinstance(parent, ast.If | ast.Assert)
    return change.replace(asked, f"not {text}" if bare else f"(not {text})")
