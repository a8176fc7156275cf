"""`scope_manager.activate()` becomes `use_span`, and scopes closed by hand context tokens."""

from __future__ import annotations

import ast

from codemods.edits import Part
from codemods.emit import is_statement
from codemods.model import Safety
from codemods.provider import free_name
from codemods.registry import define
from codemods.scopes import TOKEN_ON_SPAN, Variable, closes_active, is_active, lost, variable
from codemods.site import CannotRewrite, Change, Report, Site, bare, is_constant
from codemods.values import is_none

rule = define(
    code="JO205",
    title="activate and close",
    url="https://opentelemetry-python.readthedocs.io/en/latest/api/trace.html#opentelemetry.trace.use_span",
    safety=Safety.SAFE,
    explanation="""\
`with tracer.scope_manager.activate(span, finish)` becomes `with trace.use_span(span,
end_on_exit=finish)`. A scope kept in a variable and closed later becomes a context token:
`context.attach` where it was opened, `context.detach` where it was closed.
""",
    examples=(
        (
            """\
import opentracing

tracer = opentracing.global_tracer()


def work():
    span = tracer.start_span("work")
    with tracer.scope_manager.activate(span, True):
        pass


def by_hand():
    scope = tracer.start_active_span("by-hand")
    scope.span.set_tag("step", 1)
    scope.close()
""",
            """\
from opentelemetry import context, trace

tracer = trace.get_tracer(__name__)


def work():
    span = tracer.start_span("work")
    with trace.use_span(span, end_on_exit=True):
        pass


def by_hand():
    span = tracer.start_span("by-hand")
    span_token = context.attach(trace.set_span_in_context(span))
    span.set_attribute("step", 1)
    context.detach(span_token)
    span.end()
""",
        ),
    ),
)


@rule.member("scope_manager", "activate")
def activate(site: Site) -> Change:
    call = site.call
    arguments = site.arguments("span", "finish_on_close")
    span, finish = arguments.get("span"), arguments.get("finish_on_close")
    if call is None or span is None:
        raise CannotRewrite("it wants a span")
    change = site.change("makes the span current")
    parent = site.parent
    if isinstance(parent, ast.withitem | ast.Return | ast.Call):
        return _manager(site, change, call, span, finish)
    if isinstance(parent, ast.Assign) and len(parent.targets) == 1:
        return _token(site, change, call, span, parent)
    if isinstance(parent, ast.Expr):
        change.message = "made current without an end, as before"
        if closes_active(site.file):
            change.message = TOKEN_ON_SPAN
            return change.replace(call, _named(span), ".scope_token = ", *_attach(change, span))
        return change.replace(call, *_attach(change, span))
    raise CannotRewrite("the scope is kept where its closing cannot be followed")


@rule.symbol(
    "opentracing_instrumentation.span_in_context",
    "opentracing_instrumentation.span_in_stack_context",
)
def span_in_context(site: Site) -> Change:
    """`with span_in_context(span)` activates a span and does not finish it."""
    call = site.call
    span = site.arguments("span").get("span")
    if call is None or span is None or not isinstance(site.parent, ast.withitem | ast.Return):
        raise CannotRewrite("it is not used in a `with` statement")
    change = site.change("makes the span current")
    if isinstance(site.parent, ast.Return):
        change.unsafe = "the caller uses the result in a `with` statement, and the span is not None"
    if site.construct.endswith(".span_in_stack_context"):  # which is no Scope, and marks no errors
        trace = change.use("opentelemetry", "trace")
        silent = ", record_exception=False, set_status_on_exception=False)"
        return change.replace(call, f"{trace}.use_span(", span, silent)
    return _manager(site, change, call, span, None)


def _manager(
    site: Site, change: Change, call: ast.Call, span: ast.expr, finish: ast.expr | None
) -> Change:
    trace = change.use("opentelemetry", "trace")
    tail: tuple[Part, ...] = (", end_on_exit=", *bare(finish)) if finish is not None else ()
    if isinstance(finish, ast.Constant) and finish.value is False:
        tail = ()
    parent = site.parent
    if isinstance(parent, ast.withitem) and isinstance(parent.optional_vars, ast.Name):
        found = variable(site.file, parent.optional_vars)
        if found is not None and found.name != parent.optional_vars.id:
            for use in found.uses:
                change.replace(use, found.name)
    return change.replace(call, f"{trace}.use_span(", span, *tail, ")")


def _attach(change: Change, span: ast.expr) -> tuple[Part, ...]:
    trace, context = change.use("opentelemetry", "trace"), change.use("opentelemetry", "context")
    return (f"{context}.attach({trace}.set_span_in_context(", span, "))")


def _token(
    site: Site, change: Change, call: ast.Call, span: ast.expr, statement: ast.Assign
) -> Change:
    """`scope = tracer.scope_manager.activate(span, ...)`, closed by hand."""
    target = statement.targets[0]
    found = variable(site.file, target)
    if found is None or not found.token:
        raise CannotRewrite("the scope is kept where its closing cannot be followed")
    for use in found.uses:
        if isinstance(use, ast.Name) and use is not target:
            change.replace(use, found.name)
    change.replace_statement(
        statement,
        (found.name, " = ", span),
        (found.token, " = ", *_attach(change, _named(span))),
    )
    return change


def _named(span: ast.expr) -> ast.expr:
    """The span once more; it is a name or an attribute and may be read twice."""
    if not isinstance(span, ast.Name | ast.Attribute):
        raise CannotRewrite("the span is the result of a call; give it a name first")
    return span


@rule.member("scope", "__enter__")
def enter(site: Site) -> Change | Report:
    statement = is_statement(site)
    assert site.owner is not None
    found = variable(site.file, site.owner)
    if statement is None or found is None or not found.token:
        return _ELSEWHERE
    return site.change("it is current already").remove(statement)


@rule.member("scope", "close", "__exit__")
def close(site: Site) -> Change | Report:
    file, owner = site.file, site.owner
    statement = is_statement(site)
    assert owner is not None
    if statement is None:
        raise CannotRewrite("its result is used")
    change = site.change("detaches the context and ends the span")
    found = variable(file, owner)
    if is_active(file, owner):
        return _close_active(site, change, statement, found)
    if found is None or not found.values:
        return _ELSEWHERE
    if not found.token:
        if any(isinstance(file.parents[value], ast.withitem) for value in found.values):
            change.message = "the block closes it"
            return change.remove(statement)
        return _ELSEWHERE
    context = change.use("opentelemetry", "context")
    lines: list[tuple[Part, ...]] = [(f"{context}.detach({found.token})",)]
    if _ends(site, found.values):
        lines.append(_ending(site, found.name))
    for value in found.values:
        if isinstance(value, ast.Call):
            change.depends_on(value)
    return change.replace_statement(statement, *lines)


def _close_active(
    site: Site, change: Change, statement: ast.stmt, found: Variable | None
) -> Change | Report:
    """`tracer.scope_manager.active.close()`: the token is on the span, if the file opened it."""
    file = site.file
    opened = lost(file)
    if not opened:
        return _ELSEWHERE
    ends = {_ends(site, [call]) for call in opened}
    if len(ends) > 1:
        raise CannotRewrite("some of the scopes that are opened here end their span, others do not")
    trace, context = change.use("opentelemetry", "trace"), change.use("opentelemetry", "context")
    lines: list[tuple[Part, ...]] = []
    name = found.name if found is not None and found.values else ""
    if not name:
        name = free_name(file, statement, "span", "current_span")
        lines.append((f"{name} = {trace}.get_current_span()",))
    lines.append((f"{context}.detach({name}.scope_token)",))
    if ends == {True}:
        lines.append(_ending(site, name))
    change.depends_on(*opened)
    return change.replace_statement(statement, *lines)


def _ending(site: Site, name: str) -> tuple[Part, ...]:
    """`span.end()`, or the span's own `__exit__` where an exception may have to be recorded."""
    call = site.call
    given = call.args if call is not None else []
    if all(is_none(value) for value in given):
        return (f"{name}.end()",)
    parts: list[Part] = []
    for value in given:
        star: tuple[Part, ...] = ("*", value.value) if isinstance(value, ast.Starred) else (value,)
        parts.extend((", " if parts else "", *star))
    return (f"{name}.__exit__(", *parts, ")")


_ELSEWHERE = Report(
    "the scope was opened elsewhere, and OpenTelemetry has no object that closes it",
    "Keep the token of context.attach() beside the span, and detach it here.",
)


def _ends(site: Site, values: list[ast.expr]) -> bool:
    """Whether closing the scope finishes the span."""
    for value in values:
        if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Attribute):
            continue
        close = next((k.value for k in value.keywords if k.arg == "finish_on_close"), None)
        second = value.args[1] if len(value.args) > 1 else None
        if value.func.attr == "activate" or is_constant(second, bool):
            close = close or second
        elif close is None:
            return True
        return not (isinstance(close, ast.Constant) and close.value is False)
    return True


@rule.member("scope", "manager")
def manager(site: Site) -> Report:
    return Report("a scope has no manager in OpenTelemetry", "Use trace.use_span.")
