"""What may differ: rules that allow differences by name. Allowed ones are shown, not hidden."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from glob import escape
from typing import Any

from migrator.compare.catalogue import CATALOGUE
from migrator.compare.differences import Difference

FIELDS = ("difference", "attribute", "service", "span", "reason")


class BadRule(ValueError):
    """A rule that cannot be meant; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Allows differences. Everything but the reason is a pattern (`*` and `?`)."""

    difference: str
    attribute: str = "*"
    service: str = "*"
    span: str = "*"
    reason: str = ""
    origin: str = ""

    def allows(self, difference: Difference) -> bool:
        return (
            fnmatchcase(difference.name, self.difference)
            and fnmatchcase(difference.key, self.attribute)
            and fnmatchcase(difference.service, self.service)
            and fnmatchcase(difference.span, self.span)
        )


DEFAULTS = tuple(
    Rule(name, reason=sort.meaning, origin="by default")
    for name, sort in CATALOGUE.items()
    if sort.allowed
)
UNSTEADY = "differs between two runs of the old side itself"
SEMCONV = Rule("semconv-attribute", reason="renamed on purpose", origin="--semconv")


def parse(option: str) -> Rule:
    """A rule from `--allow NAME` or `--allow NAME:ATTRIBUTE`; a plural NAME is as good.

    Raises:
        BadRule: no difference has such a name.
    """
    name, _, attribute = option.partition(":")
    return Rule(_known(name), attribute or "*", origin=f"--allow {option}")


def from_table(table: dict[str, Any], origin: str) -> Rule:
    """A rule from an `[[allow]]` table of a TOML file.

    Raises:
        BadRule: an unknown key or name, or no reason.
    """
    unknown = sorted(table.keys() - set(FIELDS))
    if unknown:
        raise BadRule(f"{origin}: [[allow]] knows {', '.join(FIELDS)}; not {', '.join(unknown)}")
    if not all(isinstance(value, str) for value in table.values()):
        raise BadRule(f"{origin}: everything in [[allow]] is a string")
    if not table.get("difference") or not table.get("reason"):
        raise BadRule(f"{origin}: [[allow]] needs a `difference` and a `reason`")
    return Rule(**{**table, "difference": _known(table["difference"]), "origin": origin})


def for_unsteady(difference: Difference) -> Rule:
    """A rule for exactly what two runs of the old side did not share."""
    return Rule(
        difference=difference.name,
        attribute=escape(difference.key),
        service=escape(difference.service),
        span=escape(difference.span),
        reason=UNSTEADY,
        origin="--twice",
    )


def apply(
    rules: Sequence[Rule], differences: Iterable[Difference]
) -> tuple[list[Difference], set[Rule]]:
    """The differences with the rule that allows each, and the rules that allowed something."""
    judged, used = [], set()
    for difference in differences:
        rule = next((rule for rule in rules if rule.allows(difference)), None)
        if rule is not None:
            used.add(rule)
            difference = replace(difference, allowed_by=rule.origin, reason=rule.reason)
        judged.append(difference)
    return judged, used


def _known(name: str) -> str:
    for candidate in (name, name.removesuffix("s")):
        if any(fnmatchcase(known, candidate) for known in CATALOGUE):
            return candidate
    raise BadRule(f"no difference is called {name!r}; `jaeger2otlp compare --names` lists them")
