"""What becomes of OpenTracing's scopes: OpenTelemetry has spans and context managers only.

A variable that holds an entered scope holds the span afterwards (and is renamed accordingly). A
scope that is opened and closed by hand becomes a span and a context token beside it.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field

from codemods.site import File, FunctionNode

STARTS = frozenset({"start_active_span"})


@dataclass(slots=True)
class Variable:
    """A local variable or attribute that holds a scope.

    `name` is what holds the span afterwards; `token` what holds the context token, "" where the
    scope is entered by `with`; `values` the expressions bound to it.
    """

    name: str
    values: list[ast.expr] = field(default_factory=list)
    uses: list[ast.expr] = field(default_factory=list)
    token: str = ""

    @property
    def is_manual(self) -> bool:
        """Whether it is opened by a call and not by `with`."""
        return bool(self.token)


def variable(file: File, node: ast.AST) -> Variable | None:
    """The scope variable an expression (a name or attribute) is an occurrence of."""
    if "scopes" not in file.memo:
        file.memo["scopes"] = _variables(file)
    table: dict[ast.AST, Variable] = file.memo["scopes"]  # type: ignore[assignment]
    return table.get(node)


def holder(file: File, node: ast.AST) -> FunctionNode | ast.Lambda | ast.Module:
    """The function (or module) whose variable a name is, `global` and `nonlocal` heeded."""
    assert isinstance(node, ast.Name)
    bound = {file.function(one) if not isinstance(one, ast.arg) else _function_of(file, one)
             for one in file.bound.get(node.id, ())}  # fmt: skip
    scopes = file.flow.scopes
    bound -= {one for one in bound if one in scopes and node.id in scopes[one].outer}
    function = file.function(node)
    while function not in bound and not isinstance(function, ast.Module):
        function = file.function(function)
    return function


def occurrences(file: File, node: ast.expr) -> list[ast.expr]:
    """Every mention of the variable or attribute that an expression names, itself included."""
    if isinstance(node, ast.Name):
        owner = holder(file, node)
        names = file.uses(node.id, file.source.tree)
        return [one for one in names if holder(file, one) is owner]
    if not isinstance(node, ast.Attribute):
        return []
    text = ast.unparse(node)
    inside = file.class_of(node) if text.startswith("self.") else None
    return [
        one
        for one in file.nodes
        if isinstance(one, ast.Attribute)
        and one.attr == node.attr
        and ast.unparse(one) == text
        and (inside is None or file.class_of(one) is inside)
    ]


def _function_of(file: File, arg: ast.arg) -> ast.AST:
    return file.parents[file.parents[arg]]


def _variables(file: File) -> dict[ast.AST, Variable]:
    groups: dict[object, Variable] = {}
    table: dict[ast.AST, Variable] = {}
    named: dict[object, list[ast.expr]] = {}
    scoped: set[object] = set()
    for node in file.nodes:
        key = _key(file, node)
        if key is None:
            continue
        assert isinstance(node, ast.Name | ast.Attribute)
        named.setdefault(key, []).append(node)
        if file.kind(node) == "scope":
            scoped.add(key)
    for key in scoped:
        nodes = named[key]
        first = nodes[0]
        old = first.id if isinstance(first, ast.Name) else file.text(first)
        group = groups[key] = Variable(old, uses=nodes)
        group.values = [value for node in nodes if (value := _value(file, node)) is not None]
        if isinstance(first, ast.Name):
            group.name = _new_name(file, first, nodes)
        if _opened_by_hand(file, group) and (isinstance(first, ast.Name) or _closed(file, nodes)):
            group.token = f"{group.name}_token"
        for node in nodes:
            table[node] = group
    return table


def _key(file: File, node: ast.AST) -> object | None:
    if isinstance(node, ast.Name):
        if node.id not in file.bound:
            return None
        return (holder(file, node), node.id)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        owner = file.class_of(node) if node.value.id == "self" else node.value.id
        return (owner, node.attr)
    return None


def _value(file: File, node: ast.expr) -> ast.expr | None:
    """The expression bound at a store."""
    if not isinstance(node, ast.Name | ast.Attribute) or not isinstance(node.ctx, ast.Store):
        return None
    parent = file.parents[node]
    match parent:
        case ast.withitem():
            return parent.context_expr
        case ast.Assign() | ast.AnnAssign() | ast.NamedExpr():
            return parent.value
    return None


def _new_name(file: File, first: ast.Name, nodes: list[ast.expr]) -> str:
    old = first.id
    if not re.search("scope", old, re.IGNORECASE):
        return old
    new = old.replace("scope", "span").replace("Scope", "Span").replace("SCOPE", "SPAN")
    owner = holder(file, first)
    if isinstance(owner, ast.Module) and file.source.tree in owner_nodes(file, nodes):
        pass
    taken = [
        one
        for one in file.bound.get(new, ())
        if _shares(file, one, owner) and not is_alias(file, one, old)
    ]
    return old if taken else new


def owner_nodes(file: File, nodes: list[ast.expr]) -> set[ast.AST]:
    """The functions in which the nodes stand."""
    return {file.function(node) for node in nodes}


def _shares(file: File, one: ast.AST, owner: ast.AST) -> bool:
    """Whether a binding lives in the owner's namespace or in a function inside or around it."""
    if isinstance(one, ast.arg):
        scope: ast.AST = _function_of(file, one)
    else:
        scope = file.function(one)
    return (
        scope is owner
        or owner in file.ancestors(scope)
        or (scope in file.ancestors(owner) and not isinstance(scope, ast.Module))
        or (isinstance(owner, ast.Module) and scope is owner)
    )


def is_alias(file: File, node: ast.AST, scope_name: str) -> bool:
    """Whether a binding is `span = scope.span`, which becomes superfluous."""
    parent = file.parents.get(node)
    return (
        isinstance(parent, ast.Assign)
        and len(parent.targets) == 1
        and isinstance(parent.targets[0], ast.Name)
        and isinstance(parent.value, ast.Attribute)
        and parent.value.attr == "span"
        and isinstance(parent.value.value, ast.Name)
        and parent.value.value.id == scope_name
    )


def _opened_by_hand(file: File, group: Variable) -> bool:
    calls = [
        value
        for value in group.values
        if isinstance(value, ast.Call)
        and isinstance(value.func, ast.Attribute)
        and value.func.attr in ("start_active_span", "activate")
        and not isinstance(file.parents[value], ast.withitem)
    ]
    entered = any(
        isinstance(file.parents[use], ast.withitem)
        and getattr(file.parents[use], "context_expr", None) is use
        for use in group.uses
    )
    return bool(calls) and not entered


def _closed(file: File, nodes: list[ast.expr]) -> bool:
    """Whether the file closes what it keeps in an attribute; others may do it elsewhere."""
    return any(
        isinstance(parent := file.parents[node], ast.Attribute)
        and parent.attr in ("close", "__exit__")
        for node in nodes
    )


def is_entered_later(file: File, group: Variable) -> bool:
    """Whether a scope is made first and entered by `with scope:` afterwards."""
    return any(
        isinstance(parent := file.parents[use], ast.withitem) and parent.context_expr is use
        for use in group.uses
    )
