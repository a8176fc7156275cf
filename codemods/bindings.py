"""What the names, attributes and containers of a module are bound to."""

from __future__ import annotations

import ast
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain

from codemods import legacy
from codemods.index import Index
from codemods.kinds import (
    INSTANCES,
    UNKNOWN,
    container_of,
    element_of,
    held,
    name,
    prefer,
    unpacked_as,
)
from codemods.knowledge import Knowledge
from codemods.model import Fact, Facts
from codemods.source import FunctionNode

TRACING_NAME = re.compile(r"span|trac|scope", re.IGNORECASE)


@dataclass(slots=True)
class Scope:
    """One namespace: the module, a class body, a function, or a comprehension."""

    qualified: str
    node: ast.AST
    parent: Scope | None
    is_class: bool = False
    owner: str = ""  # the class whose method this is
    values: dict[str, Fact] = field(default_factory=dict)
    outer: set[str] = field(default_factory=set)  # global and nonlocal names
    hints: dict[str, str] = field(default_factory=dict)


class Bindings(Knowledge, ABC):
    """The tables of a walk, and what it stores in namespaces and finds in them.

    `kinds` has a fact for every expression seen; `symbols` the qualified (canonical) legacy name
    of each name or attribute that denotes one; `members` for each attribute read or called on a
    legacy instance the kind of the instance.
    """

    def __init__(
        self, tree: ast.Module, index: Index, *, module: str, is_package: bool, known: Facts
    ) -> None:
        super().__init__(module, is_package=is_package, known=known)
        self.tree = tree
        self.kinds: dict[ast.AST, Fact] = {}
        self.symbols: dict[ast.AST, str] = {}
        self.members: dict[ast.AST, Fact] = {}
        self.quoted: dict[ast.AST, list[tuple[int, int, str]]] = {}  # names in a quoted annotation
        self.makers: dict[str, ast.AST] = {}  # the sites that make something, by what `made` says
        self.imports: dict[ast.alias, str] = {}
        self.scopes: dict[ast.AST, Scope] = {}
        self._pending: list[tuple[FunctionNode | ast.Lambda, Scope]] = []
        self._handed: dict[tuple[ast.AST, int], Fact] = {}  # what a lambda is given, by place
        self._gives: dict[ast.AST, Fact] = {}  # what a lambda gave in the walk before
        self._stars: list[str] = []
        self._foreign = False
        self._hints, self._outer = index.hints, index.outer
        self._declared = frozenset[str]().union(*index.outer.values())  # set by other functions
        self._imports_legacy = index.imports_legacy

    @abstractmethod
    def expression(self, node: ast.expr, scope: Scope) -> Fact:
        """What an expression is; its parts are looked at too."""

    @abstractmethod
    def block(self, body: Iterable[ast.stmt], scope: Scope) -> None:
        """Walk statements, one after the other."""

    def _bind_each(self, target: ast.expr, iterated: ast.expr, scope: Scope) -> None:
        """`for span in spans`, also `for i, span in enumerate(spans)` and `zip(spans, names)`."""
        value = self.expression(iterated, scope)
        together = iterated_together(iterated)
        if isinstance(target, ast.Tuple) and len(together) == len(target.elts):
            for element, each in zip(target.elts, together, strict=True):
                self._bind(element, element_of(self.kinds.get(each, UNKNOWN)), scope)
        else:
            self._bind(target, element_of(value), scope)

    def _import(self, node: ast.Import, scope: Scope) -> None:
        for alias in node.names:
            self.imports[alias] = alias.name
            self._note_foreign(alias.name)
            if alias.asname:
                self._store(alias.asname, self.resolve(alias.name), scope)
            else:
                root = alias.name.partition(".")[0]
                self._store(root, name(root), scope)

    def _import_from(self, node: ast.ImportFrom, scope: Scope) -> None:
        base = absolute(node.module or "", node.level, self.package)
        self._note_foreign(base)
        for alias in node.names:
            if alias.name == "*":
                self.imports[alias] = base
                self._stars.append(base)
                continue
            qualified = f"{base}.{alias.name}" if base else alias.name
            self.imports[alias] = qualified
            self._store(alias.asname or alias.name, self._imported(qualified), scope)

    def _imported(self, qualified: str) -> Fact:
        resolved = self.resolve(qualified)
        return (
            resolved
            if resolved.kind != "name"
            else name(qualified)
            if self.is_legacy(qualified)
            else resolved
        )

    def _note_foreign(self, module: str) -> None:
        if module.partition(".")[0] in legacy.OTHER_TRACERS:
            self._foreign = True

    def _bind(self, target: ast.expr, value: Fact, scope: Scope) -> None:
        if isinstance(target, ast.Name):
            if value == UNKNOWN and target.id in scope.hints:
                value = Fact(scope.hints[target.id])
            self._store(target.id, value, scope)
            self.kinds[target] = value
        elif isinstance(target, ast.Tuple | ast.List):
            places = [i for i, one in enumerate(target.elts) if isinstance(one, ast.Starred)]
            parts = unpacked_as(value, len(target.elts), places[0] if places else None)
            for element, part in zip(target.elts, parts, strict=False):
                self._bind(element, part, scope)
        elif isinstance(target, ast.Starred):
            self._bind(target.value, value, scope)
        elif isinstance(target, ast.Attribute):
            self._bind_attribute(target, value, scope)
        elif isinstance(target, ast.Subscript):
            self._bind_item(target, value, scope)
        else:
            self.expression(target, scope)

    def _store(self, key: str, value: Fact, scope: Scope) -> None:
        if key in scope.outer:
            owner = scope.parent
            while owner is not None and owner.parent is not None and key not in owner.values:
                owner = owner.parent
            if owner is not None:
                owner.values[key] = prefer(owner.values.get(key, UNKNOWN), value)
                self.learn(f"{owner.qualified}.{key}", value)
        else:
            scope.values[key] = value

    def _bind_attribute(self, target: ast.Attribute, value: Fact, scope: Scope) -> None:
        owner = self.expression(target.value, scope)
        if owner.kind in INSTANCES:
            self.members[target] = owner
            if value.kind in INSTANCES and TRACING_NAME.search(target.attr):
                self.learn(f"?.{target.attr}", value)
            return
        if owner.kind == "instance":
            self.learn(f"{owner.detail}.{target.attr}", value)
        elif owner.kind == "name":
            qualified = f"{owner.detail}.{target.attr}"
            if self.is_legacy(qualified):
                self.symbols[target] = legacy.canonical(qualified)
                kind = legacy.CLASSES.get(legacy.canonical(owner.detail), "")
                if kind and value.kind == "name":  # a method put onto a legacy class
                    self.learn(f"{value.detail}(0)", self._given(target, kind))
            else:
                self.learn(qualified, value)
                if value.kind in INSTANCES and TRACING_NAME.search(target.attr):
                    self.learn(f"?.{target.attr}", value)
        elif value.kind in INSTANCES and TRACING_NAME.search(target.attr):
            self.learn(f"?.{target.attr}", value)
        self.kinds[target] = value

    def _bind_item(self, target: ast.Subscript, value: Fact, scope: Scope) -> None:
        self.expression(target.value, scope)
        self.expression(target.slice, scope)
        if (container := held(value)) == UNKNOWN:
            return
        if isinstance(target.slice, ast.Constant) and isinstance(target.slice.value, str):
            if TRACING_NAME.search(target.slice.value):
                self.learn(f"?[{target.slice.value}]", value)
            if (key := self._item(target.value, target.slice.value, scope)) is not None:
                self.learn(key, value)
        else:
            self._fill(target.value, container, scope)

    def _fill(self, container: ast.expr, value: Fact, scope: Scope) -> None:
        """Something was put into a container; a name may be one of an outer scope."""
        owner: Scope | None = scope
        if isinstance(container, ast.Name):
            while owner is not None and container.id not in owner.values:
                owner = owner.parent
            if owner is not None and owner is not scope:
                owner.values[container.id] = value
                self.learn(f"{owner.qualified}.{container.id}", value)
                return
        self._bind(container, value, scope)

    def _given(self, site: ast.AST, kind: str, detail: str = "") -> Fact:
        """What the call or the reading of a legacy name gives; nothing of ours is made nowhere."""
        return Fact(kind, detail, frozenset({self._maker(site)}) if kind else frozenset())

    def _maker(self, site: ast.AST) -> str:
        """The name by which a site is known as a maker: where its last word ends."""
        assert isinstance(site, ast.expr)
        maker = f"{self.module}:{site.end_lineno}:{site.end_col_offset}"
        self.makers[maker] = site
        return maker

    def _name(self, node: ast.Name, scope: Scope) -> Fact:
        value = self._lookup(node.id, scope)
        if value.kind == "name":
            resolved = self.resolve(value.detail)
            if self.is_legacy(value.detail):
                self.symbols[node] = legacy.canonical(value.detail)
                return self._value_of(node, resolved)
            return resolved
        if value.kind in INSTANCES and self._is_imported_value(node.id, value.detail):
            self.symbols[node] = value.detail
            return self._value_of(node, value)
        return value

    def _value_of(self, node: ast.AST, value: Fact) -> Fact:
        """What reading a legacy name gives: `opentracing.tracer` is made where it is read."""
        is_value = value.kind in INSTANCES
        return self._given(node, value.kind, value.detail) if is_value else value

    def _is_imported_value(self, key: str, qualified: str) -> bool:
        return self.is_legacy(qualified) and any(
            (alias.asname or alias.name) == key and legacy.canonical(target) in legacy.VALUES
            for alias, target in self.imports.items()
        )

    def _lookup(self, key: str, scope: Scope) -> Fact:
        current: Scope | None = scope
        first = True
        while current is not None:
            if (
                (first or not current.is_class)
                and key in current.values
                and key not in (current.outer)
            ):
                value = current.values[key]
                told = self.fact(f"{current.qualified}.{key}") if value == UNKNOWN else None
                if told is not None and (told.kind[:2] == "[]" or key in self._declared):
                    return told
                return value
            first = False
            if current.parent is None:
                told = self.fact(f"{current.qualified}.{key}")
                if told is not None:
                    return (
                        name(f"{current.qualified}.{key}")
                        if told.kind in ("class", "function")
                        else told
                    )
            current = current.parent
        for star in self._stars:
            if self.is_legacy(star) and key.isupper() and star.endswith(("tags", "logs")):
                return name(f"{star}.{key}")
            if self.fact(f"{star}.{key}") is not None:
                return self.resolve(f"{star}.{key}")
        return UNKNOWN

    def _item(self, container: ast.expr, key: str, scope: Scope) -> str | None:
        """What is known under a key of one dict has a fact of its own: `m.f.kept[key]`."""
        if isinstance(container, ast.Attribute):
            owner_fact = self.kinds.get(container.value, UNKNOWN)
            is_kept = owner_fact.kind == "instance"
            return f"{owner_fact.detail}.{container.attr}[{key}]" if is_kept else None
        if not isinstance(container, ast.Name):
            return None
        owner: Scope | None = scope
        while owner is not None and container.id not in owner.values:
            owner = owner.parent
        return f"{owner.qualified}.{container.id}[{key}]" if owner is not None else None

    def _items(self, container: ast.expr, scope: Scope) -> Fact:
        """A dict of which only what is under its keys is known, as a container of all that."""
        start = self._item(container, "", scope)
        if start is None:
            return UNKNOWN
        facts = chain(self.known.items(), self.own.items())
        return container_of([fact for key, fact in facts if key.startswith(start[:-1])])


def absolute(module: str, level: int, package: str) -> str:
    """The absolute name of the module that `from module import` means, with `level` dots."""
    if not level:
        return module
    parts = package.split(".") if package else []
    kept = parts[: len(parts) - (level - 1)] if level > 1 else parts
    return ".".join([*kept, *([module] if module else [])])


def iterated_together(node: ast.expr) -> list[ast.expr]:
    """What the elements of a `zip` or `enumerate` come from; of the numbers that is the call."""
    match node:
        case ast.Call(func=ast.Name(id="zip"), args=args):
            return args
        case ast.Call(func=ast.Name(id="enumerate"), args=[one, *_]):
            return [node, one]
    return []
