"""What an attribute of a thing is: of a legacy object, of a class of the project, of a stranger."""

from __future__ import annotations

import ast

from codemods import legacy
from codemods.bindings import TRACING_NAME, Bindings, Scope
from codemods.kinds import (
    FOREIGN,
    INSTANCES,
    OPENTELEMETRY,
    UNKNOWN,
    detail_of,
    is_member,
)
from codemods.model import Fact
from codemods.source import last_name

OF_EVERY_OBJECT = frozenset(dir(object)) | {"__dict__", "__module__", "__name__"}


class Members(Bindings):
    """Attributes that are read or called."""

    def _attribute(self, node: ast.Attribute, scope: Scope) -> Fact:
        owner = self.expression(node.value, scope)
        return self.member(node, owner, node.attr, scope)

    def member(self, node: ast.AST, owner: Fact, attr: str, scope: Scope) -> Fact:
        """What attribute `attr` of an `owner` is."""
        if owner.kind == "name":
            qualified = f"{owner.detail}.{attr}"
            if self.is_legacy(qualified):
                self.symbols[node] = legacy.canonical(qualified)
                return self._value_of(node, self.resolve(qualified))
            resolved = self.resolve(qualified)
            found = self.fact(owner.detail)
            if resolved.kind == "name" and found is not None and found.kind == "class":
                return self.class_member(owner.detail, attr) or resolved
            if resolved.kind == "name" and self.is_legacy(resolved.detail):
                self.symbols[node] = legacy.canonical(resolved.detail)
            elif self.is_of_a_framework(resolved) and self._telltale(node, attr):
                return self._unknown_member(node, UNKNOWN, attr, scope)  # flask.g.tracer.inject
            return resolved
        if owner.kind in INSTANCES:
            if attr in OF_EVERY_OBJECT:
                return UNKNOWN
            self.members[node] = owner
            kind = legacy.ATTRIBUTES.get((owner.kind, attr), "")
            if attr in ("set_baggage_item", "get_baggage_item"):
                self.own["?baggage"] = Fact("manager")
            if not kind and TRACING_NAME.search(attr):
                return self.fact(f"?.{attr}") or UNKNOWN
            return self._given(node, kind, detail_of(owner, attr))
        if owner.kind == "instance":
            return self._instance_member(node, owner, attr, scope)
        if owner.kind == "super":
            return self._inherited(node, owner.detail, attr)
        if owner == OPENTELEMETRY and (kind := self._telltale(node, attr)):  # what was left
            self.members[node] = Fact(kind, "duck")
            return self._given(node, legacy.ATTRIBUTES.get((kind, attr), ""))
        if owner == OPENTELEMETRY and attr in legacy.BETA:
            self.members[node] = Fact("beta")
        if owner.kind == "other":
            return owner
        return self._unknown_member(node, owner, attr, scope)

    def _instance_member(self, node: ast.AST, owner: Fact, attr: str, scope: Scope) -> Fact:
        found = self.class_member(owner.detail, attr)
        if found is not None and found.kind != "name":
            return found
        for cls in self.bases(owner.detail) if found is None else ():
            given = self.fact(f"{cls}.__getattr__()")
            if given is not None and given.kind in INSTANCES:
                return self.member(node, given, attr, scope)
        return (  # also a method that overrides a legacy one
            self._legacy_member(node, owner.detail, attr)
            or found
            or Fact("unbound", f"{owner.detail}.{attr}")
        )

    def _legacy_member(self, node: ast.AST, cls: str, attr: str) -> Fact | None:
        """What a class of the project that derives from a legacy one may have from that."""
        base = self.legacy_base(cls)
        if not is_member(base, attr):
            return None
        self.members[node] = Fact(base, "custom")
        return self._given(node, legacy.ATTRIBUTES.get((base, attr), ""))

    def _inherited(self, node: ast.AST, cls: str, attr: str) -> Fact:
        """`super().attr`: what the nearest base has, or a method of which nobody told yet."""
        if (found := self._legacy_member(node, cls, attr)) is not None:
            return found
        bases = [base for base in (self.fact(cls) or UNKNOWN).detail.split(",") if base]
        for base in bases:
            if (found := self.class_member(base, attr)) is not None:
                return found
        return Fact("unbound", f"{bases[0]}.{attr}") if bases else UNKNOWN

    def _unknown_member(self, node: ast.AST, owner: Fact, attr: str, scope: Scope) -> Fact:
        kind = "" if self._foreign else self._telltale(node, attr)
        if kind:
            if owner == FOREIGN or _is_of_unknown_scope(node):
                self.members[node] = Fact(kind, "foreign")
                return UNKNOWN
            self.members[node] = Fact(kind, "duck")
            if owner.kind == "unbound":
                self.learn(owner.detail, Fact(kind))
            elif (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Attribute)
                and TRACING_NAME.search(node.value.attr)
            ):
                self.learn(f"?.{node.value.attr}", Fact(kind))
            return self._given(node, legacy.ATTRIBUTES.get((kind, attr), ""))
        if self._is_a_lost_scope(node, owner, attr):
            self.members[node] = Fact("scope", "foreign")
            return FOREIGN
        if TRACING_NAME.search(attr) and owner.kind in ("", "unbound"):
            kept = self.fact(f"?.{attr}")
            if kept is None and attr in legacy.KEPT and not owner.kind:
                self.members[node] = Fact(legacy.KEPT[attr], "foreign")
            return kept or UNKNOWN
        return FOREIGN if owner == FOREIGN else UNKNOWN

    def _is_a_lost_scope(self, node: ast.AST, owner: Fact, attr: str) -> bool:
        """`scope.span` of a scope that comes out of a place into which it was not seen going."""
        if self._foreign or owner.kind or not isinstance(node, ast.Attribute):
            return False
        told = attr == "span" or (attr == "close" and self._imports_legacy)
        return told and last_name(node.value).lower().endswith("scope")

    def _telltale(self, node: ast.AST, attr: str) -> str:
        if attr in legacy.TELLTALE:
            return legacy.TELLTALE[attr]
        if attr in legacy.TELLTALE_WHEN_NAMED and isinstance(node, ast.Attribute):
            kind = legacy.TELLTALE_WHEN_NAMED[attr]
            if last_name(node.value).lower().endswith(kind.rpartition("_")[2]):
                return kind
        return ""


def _is_of_unknown_scope(node: ast.AST) -> bool:
    """`scope.span.set_tag`, `x.active_span.set_tag`: what gives the span would have to go too."""
    match node:
        case ast.Attribute(value=ast.Attribute(attr="span", value=scope)):
            return last_name(scope).lower().endswith("scope")
        case ast.Attribute(value=ast.Attribute(attr="active_span")):
            return True
    return False
