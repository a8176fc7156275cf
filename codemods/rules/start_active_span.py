"""`start_active_span` becomes `start_as_current_span`, and its scope becomes the span."""

from __future__ import annotations

import ast

from codemods.emit import rename_member
from codemods.model import Safety
from codemods.provider import free_name
from codemods.registry import define
from codemods.scopes import (
    TOKEN_ON_SPAN,
    closes_active,
    entries,
    is_active_before,
    is_closed,
    is_entered_at_once,
    is_left_open,
    is_out_of_sight,
    is_stacked,
    variable,
)
from codemods.site import CannotRewrite, Change, File, Report, Site
from codemods.source import Span
from codemods.starting import rewrite_start

rule = define(
    code="JO201",
    title="start_active_span to start_as_current_span",
    url="https://opentelemetry.io/docs/languages/python/instrumentation/#creating-spans",
    safety=Safety.SAFE,
    explanation="""\
`with tracer.start_active_span(...) as scope` gives a scope in OpenTracing and the span itself in
OpenTelemetry, so `scope` is renamed and `scope.span` becomes the span. `child_of` and `references`
become `context` and `links`, `tags` become `attributes` and `kind`, seconds become nanoseconds.
A scope that is opened and closed by hand becomes a span and a context token, also where both are
kept on an object; one that is entered later, or returned for the caller to enter, a span and
`trace.use_span`. One that nothing keeps stays current for good, as it did; where the file closes
the active scope, the token is kept on the span. One that is passed on to
where its closing cannot be followed is reported. What is no `Exception` and leaves the block, as
`CancelledError`, `SystemExit` or a generator that is closed, made the span an error; OpenTelemetry
leaves it as it is.
""",
    examples=(
        (
            """\
import opentracing

with opentracing.tracer.start_active_span("say-hello") as scope:
    scope.span.set_tag("hello-to", "Bryan")
""",
            """\
from opentelemetry import trace

tracer = trace.get_tracer(__name__)

with tracer.start_as_current_span("say-hello") as span:
    span.set_attribute("hello-to", "Bryan")
""",
        ),
    ),
)


_KEPT = Report(
    "not rewritten: the scope is kept where its closing cannot be followed",
    "Enter it with `with`; or keep the span with the token of context.attach(), and where the "
    "scope was closed call context.detach(token) and span.end().",
)
_LEAKED = "the scope was never closed; the span stays current as before"
_CLOSE = "Give it a `with` block, or detach the token when the work is done."


@rule.member("tracer", "start_active_span")
def start_active_span(site: Site) -> Change | Report:
    call = site.call
    if call is None:
        raise CannotRewrite("the method is passed on without being called")
    assert isinstance(site.node, ast.Attribute)
    change = site.change("starts a span that is current inside the block")
    parent = site.parent
    if isinstance(parent, ast.Attribute) and parent.attr == "span":
        return _leaked(site, change, call, parent)
    if isinstance(parent, ast.Assign | ast.AnnAssign) and len(_targets(parent)) == 1:
        return _by_hand(site, change, call, parent)
    if isinstance(parent, ast.Expr):
        return _thrown_away(site, change, call)
    if isinstance(parent, ast.NamedExpr):
        raise CannotRewrite("`:=` would keep the context manager; give it a name with `as`")
    if not _is_entered(site.file, call):
        return _KEPT
    if is_left_open(site.file, call):
        return _KEPT
    _as_manager(site, change)
    if isinstance(parent, ast.withitem):
        if parent.optional_vars is not None:
            _rename(change, parent.optional_vars)
        _carry_baggage(site, change)
    return change


def _is_entered(file: File, node: ast.expr) -> bool:
    """Whether a scope is entered by `with` where it is made, or by whoever gets it."""
    parent = file.parents[node]
    match parent:
        case ast.withitem() | ast.Return() | ast.Lambda():
            return True
        case ast.IfExp() | ast.BoolOp():
            return _is_entered(file, parent)
    return is_stacked(parent)


def _carry_baggage(site: Site, change: Change) -> None:
    """Where the project uses baggage, make what was extracted current too, not just the span."""
    file = site.file
    call = site.call
    named = {} if call is None else {keyword.arg: keyword.value for keyword in call.keywords}
    positional = call.args[1] if call is not None and len(call.args) > 1 else None
    parent = named.get("child_of", positional)
    if parent is None or file.flow.fact("?baggage") is None or file.detail(parent) != "extracted":
        return
    block = file.parents[site.parent]
    if not isinstance(parent, ast.Name) or not isinstance(block, ast.With | ast.AsyncWith):
        return
    trace, context = change.use("opentelemetry", "trace"), change.use("opentelemetry", "context")
    held = (f"{trace}.set_span_in_context({trace}.get_current_span(), ", parent, ")")
    change.before(block.body[0], (f"{context}.attach(", *held, ")"))
    change.message += "; the baggage that came with its parent is made current with it"


def _targets(node: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def _as_manager(site: Site, change: Change) -> None:
    """Rewrite the call to one that gives a context manager."""
    assert isinstance(site.node, ast.Attribute)
    rename_member(change, site.node, "start_as_current_span")
    rewrite_start(site, change, is_manager=True)


def _rename(change: Change, target: ast.expr) -> None:
    """Rename every occurrence of the variable that held the scope."""
    file = change.file
    found = variable(file, target)
    if found is None or not isinstance(target, ast.Name) or found.name == target.id:
        return
    done = {edit.span for edit in change.edits}
    for use in found.uses:
        if file.span(use) not in done:
            change.replace(use, found.name)
    for value in found.values:
        if isinstance(value, ast.Call) and file.flow.members.get(value.func) is not None:
            change.depends_on(value)


def _by_hand(
    site: Site, change: Change, call: ast.Call, parent: ast.Assign | ast.AnnAssign
) -> Change | Report:
    """`scope = tracer.start_active_span(...)`, closed by hand or entered later."""
    file = site.file
    assert isinstance(site.node, ast.Attribute)
    target = _targets(parent)[0]
    found = variable(file, target)
    entered = entries(file, found) if found is not None else []
    if found is None or not (found.token or entered):
        return _KEPT
    if is_out_of_sight(file, found) or (not found.token and is_active_before(file, found)):
        return _KEPT
    rename_member(change, site.node, "start_span")
    close = rewrite_start(site, change).get("finish_on_close")
    if close is not None and not isinstance(close, ast.Constant):
        raise CannotRewrite("whether the scope ends its span is known only at run time")
    trace = change.use("opentelemetry", "trace")
    if found.token:
        context = change.use("opentelemetry", "context")
        held = f"{trace}.set_span_in_context({found.name})"
        change.message = "the span is made current by hand, as the scope did"
        token = f"{found.token} = "
        if not is_closed(file, found):
            token = _token_of_lost(change, found.name)
        change.after(parent, f"{token}{context}.attach({held})")
        change.depends_on(*(file.parents[use] for use in found.elsewhere))
    else:
        ends = isinstance(close, ast.Constant) and close.value is False
        tail = ")" if ends else ", end_on_exit=True)"
        for use in entered:
            change.replace(use, f"{trace}.use_span({found.name}{tail}")
        change.message = "the span is made current where the scope was entered"
        if not change.unsafe and not is_entered_at_once(file, found, parent):
            change.unsafe = "nothing needs the span current before `with` enters the scope"
    _rename(change, target)
    return change


def _token_of_lost(change: Change, span: str) -> str:
    """What keeps the token of a scope that is not kept: its span, if the file closes the active."""
    if closes_active(change.file):
        change.message = TOKEN_ON_SPAN
        return f"{span}.scope_token = "
    change.message = _LEAKED
    change.advise(_CLOSE)
    return ""


def _thrown_away(site: Site, change: Change, call: ast.Call) -> Change:
    """`tracer.start_active_span(...)` for a statement: nothing keeps the scope."""
    assert isinstance(site.node, ast.Attribute)
    rename_member(change, site.node, "start_span")
    rewrite_start(site, change)
    trace, context = change.use("opentelemetry", "trace"), change.use("opentelemetry", "context")
    start, end = site.file.span(call)
    if closes_active(site.file):
        name = free_name(site.file, call, "span", "current_span")
        token = _token_of_lost(change, name)
        change.replace(Span(start, start), f"{name} = ")
        line = f"{token}{context}.attach({trace}.set_span_in_context({name}))"
        return change.after(site.statement, line)
    _token_of_lost(change, "")
    change.replace(Span(start, start), f"{context}.attach({trace}.set_span_in_context(")
    return change.replace(Span(end, end), "))")


def _leaked(site: Site, change: Change, call: ast.Call, parent: ast.Attribute) -> Change:
    """`span = tracer.start_active_span(...).span`: the scope is never closed."""
    file = site.file
    assert isinstance(site.node, ast.Attribute)
    statement = file.statement(parent)
    if not (
        isinstance(statement, ast.Assign)
        and statement.value is parent
        and isinstance(statement.targets[0], ast.Name | ast.Attribute)
    ):
        raise CannotRewrite("the scope is lost here, so nothing ever closes it")
    rename_member(change, site.node, "start_span")
    rewrite_start(site, change)
    end = file.span(parent).end
    change.replace(Span(file.span(call).end, end))
    trace, context = change.use("opentelemetry", "trace"), change.use("opentelemetry", "context")
    name = file.text(statement.targets[0])
    token = _token_of_lost(change, name)
    return change.after(statement, f"{token}{context}.attach({trace}.set_span_in_context({name}))")
