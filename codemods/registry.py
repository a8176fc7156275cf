"""What a rule is made of, and where rules put themselves by being in `codemods.rules`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from codemods.model import Rule, Safety

if TYPE_CHECKING:
    from codemods.site import Change, Report, Site

Outcome: TypeAlias = "Change | Report | None"
Handler: TypeAlias = "Callable[[Site], Change | Report | None]"


@dataclass(frozen=True, slots=True)
class Registered:
    """A rule and the functions it has for the sites it speaks for.

    `members` is keyed by kind and member of an instance ("tracer", "start_span"), `symbols` by
    canonical qualified name, or a prefix of one with a `.*` behind it; `strings` by regular
    expression; `guards` by the kind whose truth or identity with None is asked.
    """

    rule: Rule
    members: dict[tuple[str, str], Handler] = field(default_factory=dict)
    symbols: dict[str, Handler] = field(default_factory=dict)
    strings: dict[str, Handler] = field(default_factory=dict)
    guards: dict[str, Handler] = field(default_factory=dict)

    def member(self, kind: str, *members: str) -> Callable[[Handler], Handler]:
        """Register for reading or calling a member of an instance; "*" stands for all others."""

        def register(handler: Handler) -> Handler:
            for member in members:
                self.members[kind, member] = handler
            return handler

        return register

    def symbol(self, *names: str) -> Callable[[Handler], Handler]:
        """Register for uses of a qualified name: calls, annotations, bases, plain references."""

        def register(handler: Handler) -> Handler:
            for qualified in names:
                self.symbols[qualified] = handler
            return handler

        return register

    def string(self, *patterns: str) -> Callable[[Handler], Handler]:
        """Register for string constants that match wholly."""

        def register(handler: Handler) -> Handler:
            for pattern in patterns:
                self.strings[pattern] = handler
            return handler

        return register

    def guard(self, *kinds: str) -> Callable[[Handler], Handler]:
        """Register for `if x`, `not x`, `x is None` and the like on an instance."""

        def register(handler: Handler) -> Handler:
            for kind in kinds:
                self.guards[kind] = handler
            return handler

        return register


def define(
    *,
    code: str,
    title: str,
    url: str,
    safety: Safety,
    explanation: str,
    examples: tuple[tuple[str, str], ...] = (),
    minutes: int = 5,
) -> Registered:
    """Declare the rule of a module; call it once, at the top."""
    return Registered(Rule(code, title, url, safety, explanation, examples, minutes))


@lru_cache(maxsize=1)
def registered() -> tuple[Registered, ...]:
    """All rules with their functions, by code."""
    import codemods.rules as package

    found = []
    for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        module = importlib.import_module(info.name)
        rule = getattr(module, "rule", None)
        if isinstance(rule, Registered):
            found.append(rule)
    return tuple(sorted(found, key=lambda one: one.rule.code))


def rules() -> tuple[Rule, ...]:
    """Every rule, by code."""
    return tuple(one.rule for one in registered())
