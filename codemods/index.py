"""What the flow asks of a module in every walk, found in one pass before the first."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from codemods import legacy
from codemods.source import children


def _imported_names(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [f"{node.module}.{alias.name}" for alias in node.names] if not node.level else []


class Index:
    """What every walk asks of the module, found in one pass before the first.

    `hints`: for the module and each function the names on which it, or a function inside, calls
    a method that only OpenTracing has. `outer`: the global and nonlocal names of each function.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.hints: dict[ast.AST, dict[str, str]] = {}
        self.outer: dict[ast.AST, list[str]] = {}
        self.imports_legacy = False
        todo: list[tuple[ast.AST, tuple[ast.AST, ...]]] = [(tree, (tree,))]
        while todo:
            node, owners = todo.pop()
            enter = _INDEXED.get(node.__class__)
            if enter is not None:
                owners = enter(self, node, owners)
            todo += [(child, owners) for child in children(node)]

    def _attribute(self, node: Any, owners: tuple[ast.AST, ...]) -> tuple[ast.AST, ...]:
        if isinstance(node.value, ast.Name) and (kind := _hint(node.attr, node.value.id)):
            for owner in owners:
                self.hints.setdefault(owner, {})[node.value.id] = kind
        return owners

    def _function(self, node: Any, owners: tuple[ast.AST, ...]) -> tuple[ast.AST, ...]:
        return (*owners, node)

    def _class(self, node: Any, owners: tuple[ast.AST, ...]) -> tuple[ast.AST, ...]:
        return ()

    def _names(self, node: Any, owners: tuple[ast.AST, ...]) -> tuple[ast.AST, ...]:
        if owners:
            self.outer.setdefault(owners[-1], []).extend(node.names)
        return owners

    def _import(self, node: Any, owners: tuple[ast.AST, ...]) -> tuple[ast.AST, ...]:
        if any(legacy.is_legacy(one) for one in _imported_names(node)):
            self.imports_legacy = True
        return owners


_INDEXED: dict[type[ast.AST], Callable[..., tuple[ast.AST, ...]]] = {
    ast.Attribute: Index._attribute,
    ast.FunctionDef: Index._function,
    ast.AsyncFunctionDef: Index._function,
    ast.ClassDef: Index._class,
    ast.Global: Index._names,
    ast.Nonlocal: Index._names,
    ast.Import: Index._import,
    ast.ImportFrom: Index._import,
}


def _hint(attr: str, key: str) -> str | None:
    if key in ("self", "cls"):
        return None
    kind = legacy.TELLTALE.get(attr)
    if kind is None and legacy.TELLTALE_WHEN_NAMED.get(attr) == "span":
        return "span" if key.lower().endswith("span") else None
    return kind
