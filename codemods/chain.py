"""Chained setters: OpenTracing's return the span, OpenTelemetry's None, so they are split."""

from __future__ import annotations

import ast

from codemods.edits import Part
from codemods.site import CannotRewrite, Change, File, Site
from codemods.source import Span

SETTERS = frozenset(
    {"set_tag", "log_kv", "log_event", "set_operation_name", "set_baggage_item", "log"}
)


def split(change: Change, site: Site) -> None:
    """Make statements of a chain at its last call; raises where its result is used otherwise."""
    file, call = site.file, site.call
    if call is None:
        raise CannotRewrite("the method is passed on without being called")
    parent = file.parents[call]
    if isinstance(parent, ast.Attribute) and _is_member(site, parent):
        change.depends_on(parent)
        return
    links = _links(site)
    first = _root_call(links[-1].value if links else site.node)
    if first is not None and first.attr in SETTERS and not _is_member(site, first):
        raise CannotRewrite("the chain begins with a setter of what is not known to be a span")
    statement = site.statement
    if isinstance(statement, ast.Expr) and statement.value is call:
        root: tuple[Part, ...] = (_root(site, links),)
    elif isinstance(statement, ast.Assign) and statement.value is call:
        links = _links(site, whole=True)
        if not links:
            _apart(change, site, statement)
            return
        root = (_assigned(site, statement),)
    elif isinstance(statement, ast.Return) and statement.value is call:
        root = (_root(site, links),)
        _returned(change, site, statement, root)
    elif not links and (site.member not in SETTERS or _is_dropped(site, call)):
        return
    else:
        raise CannotRewrite("the result of the call is used, and OpenTelemetry's gives None")
    if not links:
        return
    file.alone(statement)
    start = file.span(statement).start
    glue = file.source.newline + file.source.indentation(start)
    for link in links:
        change.replace(_gap(file, link), glue, *root, ".")
    _unwrap(change, statement, links[-1].value, call)


def _root_call(node: ast.AST) -> ast.Attribute | None:
    """The method whose result a chain begins with."""
    before = node.value if isinstance(node, ast.Attribute) else node
    called = before.func if isinstance(before, ast.Call) else None
    return called if isinstance(called, ast.Attribute) else None


def _is_dropped(site: Site, call: ast.Call) -> bool:
    """Whether only the call's doing is wanted: `span and span.set_tag(...)`, for each in a list.

    What a lambda gives is taken for that too.
    """
    node: ast.AST = call
    while not isinstance(parent := site.file.parents[node], ast.Expr | ast.Lambda):
        match parent:
            case ast.BoolOp(values=values) if values[-1] is node:
                pass
            case ast.IfExp(body=body, orelse=orelse) if node in (body, orelse):
                pass
            case ast.ListComp() | ast.SetComp():
                pass
            case _:
                return False
        node = parent
    return True


def _is_member(site: Site, node: ast.Attribute) -> bool:
    owner = site.file.flow.members.get(node)
    return owner is not None and owner.kind == "span"


def _links(site: Site, *, whole: bool = False) -> list[ast.Attribute]:
    """The attributes in a chain behind a setter's call (whole: behind any call), last first."""
    found = []
    node = site.node
    while isinstance(node, ast.Attribute) and isinstance(node.value, ast.Call):
        inner = node.value.func
        setter = (
            isinstance(inner, ast.Attribute) and inner.attr in SETTERS and _is_member(site, inner)
        )
        if setter or whole:
            found.append(node)
        if not setter:
            break
        node = inner
    return found


def _root(site: Site, links: list[ast.Attribute]) -> ast.expr:
    """What the chain begins with; it is repeated, so it must be without effects."""
    first = links[-1].value if links else site.node
    while isinstance(first, ast.Call):
        inner = first.func
        if not (isinstance(inner, ast.Attribute) and inner.attr in SETTERS):
            break
        first = inner.value
    if first is site.node and isinstance(first, ast.Attribute):
        first = first.value
    assert isinstance(first, ast.expr)
    if links and isinstance(first, ast.Call):
        owner = site.file.flow.members.get(first.func)
        if owner is None:
            raise CannotRewrite("the chain begins with a call, which cannot be repeated")
        if getattr(first.func, "attr", "").startswith("start_"):
            raise CannotRewrite("the chain begins with a new span; give it a name first")
    return first


def _assigned(site: Site, statement: ast.Assign) -> str:
    target = statement.targets[0]
    if len(statement.targets) == 1 and isinstance(target, ast.Name | ast.Attribute):
        return site.file.text(target)
    raise CannotRewrite("the chain is assigned to several targets")


def _returned(change: Change, site: Site, statement: ast.Return, root: tuple[Part, ...]) -> None:
    """`return span.set_tag(...)` becomes two statements."""
    file = site.file
    assert statement.value is not None
    first = root[0]
    if not isinstance(first, ast.Name | ast.Attribute):
        raise CannotRewrite("the result of the call is returned, and OpenTelemetry's gives None")
    file.alone(statement)
    change.replace(Span(file.span(statement).start, file.span(statement.value).start))
    change.after(statement, ("return ", *root))


def _apart(change: Change, site: Site, statement: ast.Assign) -> None:
    """`other = span.set_tag(...)` becomes two statements, `span = span.set_tag(...)` one."""
    file = site.file
    assert isinstance(site.node, ast.Attribute)
    root = site.node.value
    if not isinstance(root, ast.Name | ast.Attribute):
        raise CannotRewrite("the result of the call is used, and OpenTelemetry's gives None")
    file.alone(statement)
    targets = Span(file.span(statement).start, file.span(statement.value).start)
    change.replace(targets)
    if [file.text(one) for one in statement.targets] != [file.text(root)]:
        change.after(statement, (file.source.text[targets.start : targets.end], root))


def _unwrap(change: Change, statement: ast.stmt, first: ast.expr, last: ast.Call) -> None:
    """Drop the parentheses around a chain written over several lines."""
    file = change.file
    if not isinstance(statement, ast.Expr):
        return
    start, end = file.span(statement)
    dot = None
    while isinstance(first, ast.Call) and isinstance(first.func, ast.Attribute):
        dot, first = first.func, first.func.value
    inner = Span(start, file.span(first).start)
    text = file.source.text[inner.start : inner.end]
    if text.strip() == "(":
        change.replace(inner)
        change.replace(Span(file.span(last).end, end))
        if dot is not None:
            change.replace(_gap(file, dot), ".")


def _gap(file: File, link: ast.Attribute) -> Span:
    """What stands between an expression and its attribute: a dot, and maybe a new line."""
    gap = Span(file.span(link.value).end, file.span(link).end - len(link.attr))
    if "#" in file.source.text[gap.start : gap.end]:
        raise CannotRewrite("a comment stands inside the chain")
    return gap
