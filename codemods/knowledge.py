"""What is known of names: by the module at hand, and by the facts that others told.

Keys of facts, for a module `m`:

    m.name          what a global, or an attribute of a class (m.C.name), is
    m.f()           what calling a function or method gives
    m.f(0) m.f(x)   what a parameter is, by place (self not counted) and by name
    m.f.name[key]   what a dict of that name has under a key
    ?.name ?[name]  what an attribute or key of an object of unknown class is
"""

from __future__ import annotations

from collections.abc import Iterator

from codemods import legacy
from codemods.kinds import (
    INSTANCES,
    UNKNOWN,
    is_legacy_fact,
    is_passed,
    leads,
    name,
    owners_of,
    prefer,
)
from codemods.model import Fact, Facts


class Knowledge:
    """The facts of one module: `own` are those it learned, `known` those of the others."""

    def __init__(self, module: str, *, is_package: bool, known: Facts) -> None:
        self.module = module
        self.package = module if is_package else module.rpartition(".")[0]
        self.known = known
        self.own: dict[str, Fact] = {}
        self.read: dict[str, Fact | None] = {}  # what was asked for, and what it was then
        words = set(module.split(".")) - {"opentracing"}
        self._own_roots = {word for word in words if legacy.root(word) == word}
        self._own_roots |= {legacy.root(key) for key, fact in known.items() if fact == name(key)}
        self._wild = {key[key.index("?") :]: fact for key, fact in known.items() if "?" in key}

    def is_settled(self) -> bool:
        """Whether all that was read is still so."""
        return all(self._look(key) == fact for key, fact in self.read.items())

    def is_legacy(self, qualified: str) -> bool:
        """Whether a name lies in a legacy package (in which this module does not itself lie)."""
        return legacy.is_legacy(qualified) and legacy.root(qualified) not in self._own_roots

    def fact(self, key: str) -> Fact | None:
        """What is known under a key, here or from other modules."""
        found = self._look(key)
        self.read.setdefault(key, found)
        return found

    def _look(self, key: str) -> Fact | None:
        own, known = self.own.get(key), self.known.get(key)
        if own is not None and known is not None and {own.kind, known.kind} <= INSTANCES:
            if is_passed(key):
                return prefer(own, known)  # others may pass theirs
            if own.kind == known.kind:
                made, beside = own.made | known.made, own.beside | known.beside
                return Fact(own.kind, own.detail, made, beside)
        found = own or known
        return self._wild.get(key) if found is None and key[:1] == "?" else found

    def is_borrowed(self, dotted: str) -> bool:
        """Whether a dotted name is, or lies in, a legacy one that another module imports."""
        while dotted and not self.lent(dotted):
            dotted = dotted.rpartition(".")[0]
        return bool(dotted)

    def lent(self, dotted: str) -> str:
        """The legacy name that a module of the project imports, and offers as `dotted`, or "".

        A copy of the legacy library in the project is not rewritten, so it goes on offering its.
        """
        found = self.known.get(dotted, UNKNOWN)
        is_lent = found.kind == "name" and self.is_legacy(found.detail)
        same = is_lent and legacy.root(dotted) == legacy.root(found.detail)
        return found.detail if is_lent and not same else ""

    def told(self) -> dict[str, Fact]:
        """The facts that concern other modules: those that lead to something legacy."""
        known = {key for key, fact in self.known.items() if is_legacy_fact(fact)}
        kept = {key: fact for key, fact in self.own.items() if is_legacy_fact(fact)}
        owners = {owner for key in (*kept, *known) for owner in owners_of(key)}
        for key, fact in self.own.items():
            passed_on = (
                fact.kind != "name"
                or self.package == self.module
                or self._gives_legacy(fact.detail)
            )
            if key not in kept and passed_on and leads(key, fact, owners):
                kept[key] = fact
        return kept

    def _gives_legacy(self, function: str) -> bool:
        """Whether a function gives something legacy.

        It is told of also where a module that is no package imports it; a class is not, or every
        module that knows one by way of another would be walked.
        """
        given = self.known.get(f"{function}()") or self.own.get(f"{function}()")
        return given is not None and is_legacy_fact(given)

    def learn(self, key: str, fact: Fact) -> None:
        """Keep what is worth telling: instances, containers of them, functions and classes."""
        if fact.kind in ("", "other", "foreign"):
            return
        if fact.kind == "name" and not (
            self.is_legacy(fact.detail) or self.fact(fact.detail) is not None
        ):
            return
        if fact.kind == "name" and fact.detail == key:
            return
        self.own[key] = prefer(self.own.get(key, UNKNOWN), fact)

    def resolve(self, qualified: str) -> Fact:
        """What an importable name is, through re-exports."""
        for _ in range(8):
            if self.is_legacy(qualified):
                canonical = legacy.canonical(qualified)
                value = legacy.VALUES.get(canonical)
                return Fact(value, canonical) if value else name(canonical)
            found = self.fact(qualified)
            if found is None:
                head, _, last = qualified.rpartition(".")
                above = self.fact(head) if head else None
                if above is not None and above.kind == "name" and above.detail != head:
                    qualified = f"{above.detail}.{last}"
                    continue
                return name(qualified)
            if found.kind == "name":
                if found.detail == qualified:
                    return found
                qualified = found.detail
                continue
            if found.kind in ("class", "function"):
                return name(qualified)
            return found
        return UNKNOWN

    def bases(self, cls: str) -> Iterator[str]:
        """A class and its bases, nearest first."""
        seen: set[str] = set()
        todo = [cls]
        while todo:
            current = todo.pop(0)
            if current in seen:
                continue
            seen.add(current)
            yield current
            found = self.fact(current)
            if found is not None and found.kind == "class":
                todo.extend(base for base in found.detail.split(",") if base)

    def legacy_base(self, cls: str) -> str:
        """The kind of the legacy class a project's class derives from, or ""."""
        for base in self.bases(cls):
            if self.is_legacy(base):
                return legacy.CLASSES.get(legacy.canonical(base), "legacy")
        return ""

    def is_of_a_framework(self, fact: Fact) -> bool:
        """Whether a name lies in a library on whose objects services keep things: `flask.g`."""
        root = fact.detail.partition(".")[0]
        return fact.kind == "name" and root in legacy.FRAMEWORKS and self.fact(root) is None

    def class_member(self, cls: str, attr: str) -> Fact | None:
        for base in self.bases(cls):
            found = self.fact(f"{base}.{attr}")
            if found is not None:
                return name(f"{base}.{attr}") if found.kind in ("function", "class") else found
        return None
