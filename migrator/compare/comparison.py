"""The outcome: both sides' spans in rows, every difference, allowed or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from migrator.compare.catalogue import CATALOGUE
from migrator.compare.differences import Comparer, Difference
from migrator.compare.model import Recording, Span, walk
from migrator.compare.pairing import Pairing, pair
from migrator.compare.rules import DEFAULTS, Rule, apply


@dataclass(slots=True)
class Row:
    """A pair of spans, or one that only one side has, in the old trace's order."""

    before: Span | None
    after: Span | None
    differences: list[Difference]

    @property
    def equal(self) -> bool:
        return not self.differences

    @property
    def counts(self) -> bool:
        return any(not difference.allowed_by for difference in self.differences)


@dataclass(slots=True)
class Comparison:
    before: Recording
    after: Recording
    rows: list[Row]
    services: list[Difference]
    unused: list[Rule] = field(default_factory=list)

    @property
    def differences(self) -> list[Difference]:
        return [*self.services, *(d for row in self.rows for d in row.differences)]

    @property
    def equal(self) -> bool:
        """Nothing differs, or only what a rule allows."""
        return all(difference.allowed_by for difference in self.differences)

    @property
    def counts(self) -> Counter[str]:
        """How often each difference that counts was seen."""
        return Counter(d.name for d in self.differences if not d.allowed_by)

    @property
    def allowed(self) -> Counter[str]:
        return Counter(d.name for d in self.differences if d.allowed_by)


def compare_recordings(
    before: Recording,
    after: Recording,
    rules: Sequence[Rule] = (),
    semconv: Mapping[str, str] | None = None,
    strict: bool = False,
) -> Comparison:
    """Compare two recordings. `rules` come before the default ones, which `strict` leaves out."""
    pairing = pair(before, after)
    comparer = Comparer(before, after, pairing, semconv or {})
    known = (*rules, *(() if strict else DEFAULTS))
    used: set[Rule] = set()
    rows = []
    for old, new in _in_order(before, after, pairing):
        judged, these = apply(known, comparer.span(old, new))
        rows.append(Row(old, new, _sorted(judged)))
        used |= these
    services, these = apply(known, comparer.services())
    unused = [rule for rule in rules if rule not in used | these]
    return Comparison(before, after, rows, _sorted(services), unused)


def _sorted(differences: list[Difference]) -> list[Difference]:
    """What counts first, then in the catalogue's order."""
    order = {name: index for index, name in enumerate(CATALOGUE)}
    return sorted(differences, key=lambda d: (bool(d.allowed_by), order[d.name], d.key))


def _in_order(
    before: Recording, after: Recording, pairing: Pairing
) -> list[tuple[Span | None, Span | None]]:
    """Every span once, parents first: the old trace's order, with extra spans put in where their
    parents are."""
    rows = [(span, pairing.after.get(span)) for span in walk(before.roots)]
    at = {new: index for index, (_, new) in enumerate(rows) if new}
    extras: dict[int, list[Span]] = {}
    for root in after.roots:
        place = len(rows)
        for span in walk([root]):
            place = at.get(span, place)
            if span not in pairing.before:
                extras.setdefault(place, []).append(span)
    merged: list[tuple[Span | None, Span | None]] = []
    for index, row in enumerate([*rows, None]):
        merged.extend([row] if row else [])
        merged.extend((None, span) for span in extras.get(index, []))
    return merged
