"""What becomes of OpenTracing's scopes: OpenTelemetry has spans and context managers only.

A variable that holds an entered scope holds the span afterwards (and is renamed accordingly). A
scope that is opened and closed by hand becomes a span and a context token beside it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeGuard

from codemods.kinds import ACTIVE_OR_NONE
from codemods.site import File
from codemods.sites import is_tested
from codemods.source import FunctionNode, last_name
from codemods.values import is_none

STARTS = frozenset({"start_active_span"})


# Where a file closes the active scope without having kept it.
TOKEN_ON_SPAN = "the token is kept on the span, for where the active scope is closed"


@dataclass(slots=True)
class Variable:
    """A local variable or attribute that holds a scope.

    `name` is what holds the span afterwards; `token` what holds the context token, "" where the
    scope is entered by `with`; `values` the expressions bound to it. `elsewhere` are the uses of
    other variables that hold the same scope.
    """

    name: str
    values: list[ast.expr] = field(default_factory=list)
    uses: list[ast.expr] = field(default_factory=list)
    token: str = ""
    elsewhere: list[ast.expr] = field(default_factory=list)

    @property
    def is_manual(self) -> bool:
        """Whether it is opened by a call and not by `with`."""
        return bool(self.token)


def variable(file: File, node: ast.AST) -> Variable | None:
    """The scope variable an expression (a name or attribute) is an occurrence of."""
    if "scopes" not in file.memo:
        file.memo["scopes"] = _variables(file)
    table: dict[ast.AST, Variable] = file.memo["scopes"]
    return table.get(node)


def holder(file: File, node: ast.AST) -> FunctionNode | ast.Lambda | ast.Module:
    """The function (or module) whose variable a name is, `global` and `nonlocal` heeded."""
    assert isinstance(node, ast.Name)
    bound = _binders(file, node.id)
    function = file.function(node)
    while function not in bound and not isinstance(function, ast.Module):
        function = file.function(function)
    return function


def _binders(file: File, key: str) -> set[ast.AST]:
    """The functions (and the module) that have a variable of a name."""
    found = file.memo.get(("binders", key))
    if found is None:
        scopes = file.flow.scopes
        found = {
            _function_of(file, one) if isinstance(one, ast.arg) else file.function(one)
            for one in file.bound.get(key, ())
        }
        found -= {one for one in found if one in scopes and key in scopes[one].outer}
        file.memo["binders", key] = found
    assert isinstance(found, set)
    return found


def _names(file: File, key: str) -> list[ast.Name]:
    """All names of one identifier in the file."""
    if "names" not in file.memo:
        made: dict[str, list[ast.Name]] = {}
        for node in file.nodes:
            if isinstance(node, ast.Name):
                made.setdefault(node.id, []).append(node)
        file.memo["names"] = made
    table: dict[str, list[ast.Name]] = file.memo["names"]
    return table.get(key, [])


def occurrences(file: File, node: ast.expr) -> list[ast.expr]:
    """Every mention of the variable or attribute that an expression names, itself included."""
    if isinstance(node, ast.Name):
        owner = holder(file, node)
        return [one for one in _names(file, node.id) if holder(file, one) is owner]
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
        opened = any(_opens(value) for value in group.values)
        declared = isinstance(first, ast.Name) and is_declared(file, first.id)
        if isinstance(first, ast.Name) and opened and not declared:
            group.name = _new_name(file, first, nodes)  # by the rule that rewrites the opening
        if _opened_by_hand(file, group) and not declared:
            group.token = f"{group.name}_token"
        for node in nodes:
            table[node] = group
    for group in groups.values():
        if isinstance(group.uses[0], ast.Attribute):
            _link(file, table, group)
    return table


def _link(file: File, table: dict[ast.AST, Variable], kept: Variable) -> None:
    """A scope kept on an object: the names it comes from, and is read into, hold it too.

    `request.scope = scope` where it is opened, `scope = getattr(request, "scope", None)` where it
    is closed. The token is kept beside it on the object.
    """
    sources = [table[value] for value in kept.values if value in table]
    stored = [value for value in kept.values if value not in table and not is_none(value)]
    opened = [v for one in sources for v in one.values if not is_none(v)] + stored
    reads = [use for use in kept.uses if isinstance(getattr(use, "ctx", None), ast.Load)]
    asked = _asked(file, kept)
    readers = [
        table[name] for read in (*reads, *asked) if (name := _read_into(file, read)) in table
    ]
    if not (sources or readers) or not opened or not all(map(_opens, opened)):
        return
    linked = [kept, *sources, *readers]
    values = {id(value) for value in (*kept.values, *reads, *asked)}
    if (
        any(_read_into(file, call) is None for call in asked)
        or any(id(v) not in values and not is_none(v) for one in readers for v in one.values)
        or any(_is_shared(file, one, values) or entries(file, one) for one in linked)
        or not any(is_closed(file, one) for one in linked)
        or not _is_lasting(file, kept.uses[0], sources)
    ):
        return
    uses = [use for one in linked for use in one.uses]
    for one in linked:
        one.values, one.token = opened, f"{kept.name}_token"
        one.elsewhere = [use for use in uses if use not in one.uses]


def _asked(file: File, kept: Variable) -> list[ast.expr]:
    """`getattr(request, "scope", None)`, `g.pop("scope", None)`, `g.get("scope")`."""
    first = kept.uses[0]
    assert isinstance(first, ast.Attribute)
    assert isinstance(first.value, ast.Name)
    return [
        node
        for node in file.nodes
        if isinstance(node, ast.Call) and _asks(node) == (first.value.id, first.attr)
    ]


def _asks(call: ast.Call) -> tuple[str, object] | None:
    """Of which name a call asks for which attribute."""
    match call:
        case ast.Call(func=ast.Name(id="getattr"), args=[ast.Name(id=of), ast.Constant(value), *_]):
            return of, value
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id=of), attr="get" | "pop"),
            args=[ast.Constant(value), *_],
        ):
            return of, value
    return None


def _read_into(file: File, read: ast.expr) -> ast.Name | None:
    """The name that is bound to just this."""
    match file.parents[read]:
        case ast.Assign(targets=[ast.Name() as name], value=value) if value is read:
            return name
    return None


def _is_shared(file: File, group: Variable, handed: set[int]) -> bool:
    """Whether others may get the scope, but for what hands it from one variable to the next."""
    rest = [use for use in group.uses if id(use) not in handed]
    return _passed_on(file, rest)


def _is_lasting(file: File, kept: ast.expr, sources: list[Variable]) -> bool:
    """Whether the object is there before the scope is opened."""
    assert isinstance(kept, ast.Attribute)
    assert isinstance(kept.value, ast.Name)
    opening = {file.function(use) for source in sources for use in source.uses}
    bound = file.bound.get(kept.value.id, ())
    return not any(isinstance(one, ast.Name) and file.function(one) in opening for one in bound)


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
    """Whether a context token can stand for the scope: nobody else can close or enter it."""
    opened = any(
        _opens(value) and not isinstance(file.parents[value], ast.withitem)
        for value in group.values
    )
    others = any(not _opens(value) and not is_none(value) for value in group.values)
    if not opened or others or entries(file, group):
        return False
    return is_closed(file, group) or (
        isinstance(group.uses[0], ast.Name) and not _passed_on(file, group.uses)
    )


def _opens(value: ast.AST) -> TypeGuard[ast.Call]:
    return (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Attribute)
        and value.func.attr in ("start_active_span", "activate")
    )


def is_declared(file: File, key: str) -> bool:
    """Whether a function binds a name that is not its own, by `global` or `nonlocal`."""
    declarations = (one for one in file.nodes if isinstance(one, ast.Global | ast.Nonlocal))
    return any(key in one.names for one in declarations)


def is_closed(file: File, group: Variable) -> bool:
    """Whether the file closes what a name or attribute keeps; others may do it elsewhere."""
    return any(
        isinstance(parent := file.parents[use], ast.Attribute)
        and parent.attr in ("close", "__exit__")
        for use in (*group.uses, *group.elsewhere)
    )


def is_out_of_sight(file: File, group: Variable) -> bool:
    """Whether something of the scope is asked where nobody knows that it is one."""
    return any(
        isinstance(parent := file.parents[use], ast.Attribute)
        and parent.attr in ("close", "span", "__exit__")
        and file.kind(use) != "scope"
        for use in (*group.uses, *group.elsewhere)
    )


def is_active(file: File, owner: ast.expr) -> bool:
    """Whether an expression is the scope that is active, or a name that was bound to just that."""
    group = variable(file, owner)
    values = group.values if group is not None and group.values else [owner]
    return all(file.kind(one) == "scope" and file.detail(one) == "active" for one in values)


def closes_active(file: File) -> bool:
    """Whether the file closes what is active: `tracer.scope_manager.active.close()`."""
    if "closes active" not in file.memo:
        file.memo["closes active"] = any(
            isinstance(node, ast.Attribute)
            and node.attr in ("close", "__exit__")
            and file.kind(node.value) == "scope"
            and is_active(file, node.value)
            for node in file.flow.members
        )
    return bool(file.memo["closes active"])


def lost(file: File) -> list[ast.Call]:
    """The scopes that are opened and not kept; they can only be closed as the active one."""
    return [node for node in file.nodes if _opens(node) and _is_lost(file, node)]


def _is_lost(file: File, opened: ast.expr) -> bool:
    match file.parents[opened]:
        case ast.Expr():
            return True
        case ast.Attribute(attr="span") as span:
            return isinstance(file.parents[span], ast.Assign)
        case ast.Assign(targets=[target]):
            group = variable(file, target)
            return group is not None and group.is_manual and not is_closed(file, group)
    return False


def _passed_on(file: File, nodes: list[ast.expr]) -> bool:
    """Whether others get the scope itself, so that they may close it."""
    return any(
        isinstance(getattr(node, "ctx", None), ast.Load)
        and not isinstance(file.parents[node], ast.Attribute)
        and not is_tested(file, node)
        for node in nodes
    )


def entries(file: File, group: Variable) -> list[ast.expr]:
    """The uses that enter a scope after it was made, or leave that to the function's callers."""
    return [use for use in group.uses if _enters(file, use)]


def _enters(file: File, use: ast.expr) -> bool:
    parent = file.parents[use]
    match parent:
        case ast.withitem():
            return parent.context_expr is use
        case ast.Return():
            return isinstance(use, ast.Name)
        case ast.Call():
            return is_stacked(parent)
    return False


def is_stacked(node: ast.AST) -> bool:
    """Whether an `ExitStack` enters what it is given here."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("enter_context", "enter_async_context")
    )


def is_entered_at_once(file: File, group: Variable, made: ast.stmt) -> bool:
    """Whether all that is called before a scope is entered works on its span."""
    entered = entries(file, group)
    if any(file.function(use) is not file.function(made) for use in entered):
        return False
    last = max(use.lineno for use in entered)
    return all(
        _works_on(file, group, node)
        for node in ast.walk(file.function(made))
        if isinstance(node, ast.Call) and (made.end_lineno or made.lineno) < node.lineno < last
    )


def is_active_before(file: File, group: Variable) -> bool:
    """Whether a scope is needed without being entered: it is kept elsewhere too, or what returns
    it is called as a statement.
    """
    entered = entries(file, group)
    rest = [use for use in group.uses if use not in entered]
    return _passed_on(file, rest) or any(is_left_open(file, use) for use in entered)


def is_left_open(file: File, returned: ast.AST) -> bool:
    """Whether the function that returns a scope is called somewhere as a statement."""
    if not isinstance(file.parents[returned], ast.Return):
        return False
    maker = getattr(file.function(returned), "name", None)
    return any(last_name(call.func) == maker for call in _called_for_nothing(file))


def _called_for_nothing(file: File) -> Iterator[ast.Call]:
    """The calls, not on legacy objects, that are statements."""
    for node in file.nodes:
        call = node.value if isinstance(node, ast.Expr) else None
        if isinstance(call, ast.Call) and call.func not in file.flow.members:
            yield call


def thrown_away(file: File) -> dict[str, int]:
    """The makers of the scopes that a function gives and a statement throws away, and its line."""
    flow = file.flow
    calls = [call for call in _called_for_nothing(file) if file.kind(call) == "scope"]
    return {maker: call.lineno for call in calls for maker in flow.kinds[call].made}


def is_unentered(file: File, node: ast.expr) -> bool:
    """Whether a scope comes from a function of the project: the span is known by `with` only."""
    group = variable(file, node)
    return any(
        call.func not in file.flow.members
        and not is_stacked(call)
        and file.kind(call) == "scope"
        and file.detail(call) not in ("active", ACTIVE_OR_NONE)
        for value in (group.values if group is not None else [node])
        if not isinstance(file.parents[value], ast.withitem)
        for call in _calls(value)
    )


def _calls(value: ast.expr) -> Iterator[ast.Call]:
    """The calls whose result a value may be."""
    match value:
        case ast.Call():
            yield value
        case ast.Await():
            yield from _calls(value.value)
        case ast.IfExp():
            yield from _calls(value.body)
            yield from _calls(value.orelse)


def _works_on(file: File, group: Variable, call: ast.Call) -> bool:
    """Whether a call, or one around it, is of a method of the span or is given the span."""
    around = (one for one in file.ancestors(call) if isinstance(one, ast.Call))
    return any(
        any(part in group.uses for part in ast.walk(one) if isinstance(part, ast.Name))
        for one in (call, *around)
    )
