"""Which span of one side is which of the other, by structure alone: names, family, content.

Ids and times differ in every run, and concurrent siblings come in any order. So equal subtrees
are paired first, then siblings by likeness, then what is left by name elsewhere (moved) or by
likeness in the same place (renamed).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field

from migrator.compare.catalogue import SAMPLER_ATTRIBUTES
from migrator.compare.events import event_facts
from migrator.compare.model import Recording, Span, text, walk

MAX_SCORED = (
    40_000  # comparisons within one group of siblings; beyond it, single facts and order decide
)


@dataclass(slots=True)
class Pairing:
    """Partners in both directions, by identity."""

    after: dict[Span, Span] = field(default_factory=dict)  # before -> after
    before: dict[Span, Span] = field(default_factory=dict)  # after -> before

    def join(self, before: Span, after: Span) -> None:
        self.after[before] = after
        self.before[after] = before


def pair(before: Recording, after: Recording) -> Pairing:
    """Pair every span that has a counterpart; the rest is missing, or extra."""
    matcher = _Matcher(before, after)
    matcher.descend([(before.roots, after.roots)])
    while (
        matcher.rename(_alike)
        or matcher.move()
        or matcher.rename(_same_place)
        or matcher.rename(_same_role)
    ):
        pass
    return matcher.pairing


class _Matcher:
    def __init__(self, before: Recording, after: Recording) -> None:
        self.sides = before, after
        self.pairing = Pairing()
        self.digest = _digests(before.roots) | _digests(after.roots)

    def descend(self, families: list[tuple[list[Span], list[Span]]]) -> None:
        """Pair siblings, then the children of every new pair, and so on down."""
        while families:
            for before, after in self._siblings(*families.pop()):
                self.pairing.join(before, after)
                families.append((before.children, after.children))

    def _siblings(self, before: list[Span], after: list[Span]) -> Iterator[tuple[Span, Span]]:
        mine, theirs = self._left(before, after)
        for key in (self.digest.__getitem__, _content):
            yield from _take_equal(mine, theirs, key)
        for group in (_label, _name):
            for some, others in _groups(mine, theirs, group):
                for pair in _closest(some, others):
                    mine.remove(pair[0])
                    theirs.remove(pair[1])
                    yield pair

    def _left(self, before: Iterable[Span], after: Iterable[Span]) -> tuple[list[Span], list[Span]]:
        return (
            [span for span in before if span not in self.pairing.after],
            [span for span in after if span not in self.pairing.before],
        )

    def rename(self, like: Callable[[Span, Span], bool]) -> bool:
        """Pair spans with those of another name that stand in the same place and are like them."""
        mine, theirs = self._left(walk(self.sides[0].roots), walk(self.sides[1].roots))
        kept = {_label(span) for span in mine} & {_label(span) for span in theirs}
        places = defaultdict(list)
        for span in theirs:
            if _label(span) not in kept:
                places[span.parent].append(span)
        known = len(self.pairing.after)
        for span in mine:
            if _label(span) not in kept and (
                span.parent is None or span.parent in self.pairing.after
            ):
                place = self.pairing.after[span.parent] if span.parent else None
                self._rename_to(span, [other for other in places[place] if like(span, other)])
        return len(self.pairing.after) > known

    def _rename_to(self, span: Span, rivals: list[Span]) -> None:
        _, free = self._left((), rivals)
        if span not in self.pairing.after and free:
            best = max(free, key=lambda other: likeness(span, other))
            self.pairing.join(span, best)
            self.descend([(span.children, best.children)])

    def move(self) -> bool:
        """Pair the spans of one name that turned up elsewhere, of the topmost name first."""
        mine, theirs = self._left(walk(self.sides[0].roots), walk(self.sides[1].roots))
        for some, others in _groups(mine, theirs, _label):
            for before, after in _closest(some, others):
                if before not in self.pairing.after and after not in self.pairing.before:
                    self.pairing.join(before, after)
                    self.descend([(before.children, after.children)])
            return True
        return False


def likeness(before: Span, after: Span) -> float:
    """How alike two spans are: 0 for nothing in common, 8 for the same in everything looked at."""
    return (
        3 * _overlap(_facts(before), _facts(after))
        + 2 * _overlap({c.name for c in before.children}, {c.name for c in after.children})
        + _overlap({e.name for e in before.events}, {e.name for e in after.events})
        + (before.name == after.name)
        + 0.5 * (before.kind == after.kind)
        + 0.5 * (before.service == after.service)
    )


def _alike(before: Span, after: Span) -> bool:
    """Renamed beyond doubt: the same content and children, and some of either."""
    return bool(_facts(before) or before.children) and _same_place(before, after)


def _same_place(before: Span, after: Span) -> bool:
    """Little but the name tells them apart; both may be empty."""
    below = {child.name for child in before.children}, {child.name for child in after.children}
    return _overlap(_facts(before), _facts(after)) >= 0.5 and _overlap(*below) >= 0.5


def _same_role(before: Span, after: Span) -> bool:
    """What is left in one place and plays one part: both the server's span, say, or with the
    same spans below. An instrumentation may have given it another name and other attributes."""
    if before.service != after.service:
        return False
    below = {child.name for child in before.children}, {child.name for child in after.children}
    border = before.kind == after.kind and before.kind not in ("unset", "internal")
    return border or (bool(before.children) and _overlap(*below) >= 0.5)


def _overlap(some: set[Hashable] | set[str], others: set[Hashable] | set[str]) -> float:
    union = len(some | others)
    return len(some & others) / union if union else 1.0


def _facts(span: Span) -> set[Hashable]:
    """What a span holds, but for what clients write and what two runs never share."""
    facts: set[Hashable] = {
        (k, text(v)) for k, v in span.attributes.items() if k not in SAMPLER_ATTRIBUTES
    }
    for event in span.events:
        facts.update(event_facts(event))
    return facts


def _label(span: Span) -> Hashable:
    return span.service, span.name


def _name(span: Span) -> Hashable:
    return span.name


def _content(span: Span) -> Hashable:
    return span.service, span.name, frozenset(_facts(span))


def _digests(roots: list[Span]) -> dict[Span, int]:
    """A number for every span that is the same for equal subtrees, in whatever order."""
    digests: dict[Span, int] = {}
    for span in reversed(list(walk(roots))):
        kind = "internal" if span.kind == "unset" else span.kind
        below = tuple(sorted(digests[child] for child in span.children))
        digests[span] = hash((_content(span), kind, below))
    return digests


def _take_equal(
    mine: list[Span], theirs: list[Span], key: Callable[[Span], Hashable]
) -> Iterator[tuple[Span, Span]]:
    """Pair spans with equal keys in order, and take them off both lists."""
    waiting = defaultdict(list)
    for span in reversed(theirs):
        waiting[key(span)].append(span)
    pairs = [(span, waiting[key(span)].pop()) for span in mine if waiting[key(span)]]
    taken = {span for pair in pairs for span in pair}
    mine[:] = [span for span in mine if span not in taken]
    theirs[:] = [span for span in theirs if span not in taken]
    return iter(pairs)


def _groups(
    mine: list[Span], theirs: list[Span], key: Callable[[Span], Hashable]
) -> Iterator[tuple[list[Span], list[Span]]]:
    """The spans that share a key, with those of the other side that have it too."""
    others = defaultdict(list)
    for span in theirs:
        others[key(span)].append(span)
    groups = defaultdict(list)
    for span in mine:
        groups[key(span)].append(span)
    yield from ((some, others[name]) for name, some in groups.items() if name in others)


def _closest(some: list[Span], others: list[Span]) -> list[tuple[Span, Span]]:
    """Pair each with the most like it, the likest first; order breaks ties."""
    if len(some) * len(others) > MAX_SCORED:
        return _by_own_facts(some, others)
    scored = sorted(
        (
            (-likeness(a, b), abs(i - j), i, j)
            for i, a in enumerate(some)
            for j, b in enumerate(others)
        )
    )
    pairs, free, open_ = [], set(range(len(some))), set(range(len(others)))
    for _, _, i, j in scored:
        if i in free and j in open_:
            free.remove(i)
            open_.remove(j)
            pairs.append((some[i], others[j]))
    return pairs


def _by_own_facts(some: list[Span], others: list[Span]) -> list[tuple[Span, Span]]:
    """For many siblings: pair those that share what nobody else holds, the rest in order."""
    holders: dict[Hashable, tuple[list[Span], list[Span]]] = defaultdict(lambda: ([], []))
    for side, spans in enumerate((some, others)):
        for span in spans:
            for fact in _facts(span):
                holders[fact][side].append(span)
    pairs: dict[Span, Span] = {}
    taken: set[Span] = set()
    for mine, theirs in holders.values():
        if len(mine) == len(theirs) == 1 and mine[0] not in pairs and theirs[0] not in taken:
            pairs[mine[0]] = theirs[0]
            taken.add(theirs[0])
    left = [span for span in some if span not in pairs]
    free = [span for span in others if span not in taken]
    return [*pairs.items(), *zip(left, free, strict=False)]
