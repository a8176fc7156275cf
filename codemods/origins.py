"""Where a span, scope or context comes from: what is done with it waits for what makes it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from codemods.site import Change, File, Report, Site

_FOLLOWED = frozenset({"span", "scope", "span_context"})
_DEPTH = 4  # of aliases; nobody writes longer chains


def link(decided: Iterable[tuple[Site, Change | Report]]) -> None:
    """Make each change of a member depend on the site that makes its owner, if it is in the file.

    Otherwise a start call that is left would get its span's `set_tag` rewritten, and fail.
    """
    for site, outcome in decided:
        if site.owner is None or not isinstance(outcome, Change):
            continue
        if site.file.kind(site.owner) in _FOLLOWED:
            outcome.depends_on(*makers(site.file, site.owner, _DEPTH))


def makers(file: File, node: ast.expr, depth: int) -> Iterator[ast.AST]:
    """The sites whose value an expression is."""
    if isinstance(node, ast.Await | ast.NamedExpr):
        yield from makers(file, node.value, depth)
    elif isinstance(node, ast.IfExp):
        yield from makers(file, node.body, depth)
        yield from makers(file, node.orelse, depth)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from makers(file, value, depth)
    elif isinstance(node, ast.Call):
        if node.func in file.flow.members or node.func in file.flow.symbols:
            yield node.func
    elif isinstance(node, ast.Attribute):
        if node in file.flow.members:
            yield node
            yield from makers(file, node.value, depth)
    elif isinstance(node, ast.Name) and depth:
        bound = _bound_value(file, node)
        if bound is not None:
            yield from makers(file, bound, depth - 1)


def _bound_value(file: File, node: ast.Name) -> ast.expr | None:
    """What the nearest binding above a name, in its own function, binds it to."""
    function = file.function(node)
    above = [
        one
        for one in file.bound.get(node.id, ())
        if file.function(one) is function and getattr(one, "lineno", 0) <= node.lineno
    ]
    if not above:
        return None
    parent = file.parents[max(above, key=lambda one: getattr(one, "lineno", 0))]
    match parent:
        case ast.withitem():
            return parent.context_expr
        case ast.Assign() | ast.AnnAssign() | ast.NamedExpr():
            return parent.value
    return None
