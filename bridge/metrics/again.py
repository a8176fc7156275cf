"""Families whose samples come as in the push before: straight to bytes, no point between.

No rule is decided here. What is new, falls, starts anew or is odd is left over, for
`from_prometheus.convert`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from operator import ge, sub
from typing import Any, NamedTuple, Protocol

from prometheus_client.samples import Sample

from bridge.metrics import wire
from bridge.metrics.from_prometheus import Usual, exemplar, nanoseconds, split_labels
from bridge.metrics.points import Attributes, Exemplar, Kind, NumberPoint, Scope

# What samples from anywhere may raise when they are taken for what they should be.
ODD = (TypeError, ValueError, AttributeError, LookupError, OverflowError, struct.error)


class Series:
    """One time series as the last push saw it."""

    __slots__ = ("attributes", "head", "head_start", "labels", "last", "seen", "start")

    def __init__(self, attributes: bytes) -> None:
        self.attributes = attributes
        self.labels: Mapping[str, str] | None = None  # as its family writes them, without `le`
        self.head = b""  # of a number point with the start `head_start`
        self.head_start = -1
        self.start = 0  # of our own making, after a reset that the source does not date
        self.last = 0.0
        self.seen = 0


STRANGER = Series(b"")  # stands for a sample that belongs to no series of the metric


class Layout(NamedTuple):
    """The samples of each histogram of a family: buckets by ascending bound, then the others."""

    samples: tuple[tuple[str, str | None], ...]  # name, `le`
    bounds: bytes
    buckets: int
    finite: int  # buckets below +Inf
    count_at: int
    sum_at: int  # -1 for what is not there
    created_at: int


class Columns(NamedTuple):
    """A family of numbers as the last push saw it, sample by sample; now only values may differ."""

    labels: list[Mapping[str, str]]
    heads: list[bytes]
    created: tuple[float, ...]  # of the `_created` sample after each other one; empty without them
    values: tuple[float, ...]
    generation: int


class Joined(Sequence[bytes]):
    """Number points as one run of bytes, cut into points only for a request that is too large."""

    def __init__(self, heads: Sequence[bytes], time: bytes, values: Iterable[float]) -> None:
        """`time` is the time's field and the tag of the value, the same for every point."""
        pieces = [time] * (3 * len(heads))
        pieces[::3] = heads
        pieces[2::3] = map(wire.pack_double, values)
        self.body = b"".join(pieces)
        self._heads, self._tail = heads, len(time) + 8

    @cached_property
    def _points(self) -> list[bytes]:
        ends = accumulate((len(head) + self._tail for head in self._heads), initial=0)
        return [self.body[start:end] for start, end in pairwise(ends)]

    def __len__(self) -> int:
        return len(self._heads)

    def __getitem__(self, index: Any) -> Any:
        return self._points[index]


class Push(NamedTuple):
    now: int  # Unix nanoseconds
    generation: int
    default_start: int


class Known(Protocol):
    """The series of a metric, as the encoder keeps them."""

    series: dict[Attributes, Series]
    order: list[Series]  # as they came in the last push; empty when it does not hold any more
    layout: Layout | Columns | None


def remember(known: Known, samples: Sequence[Sample], usual: Usual, push: Push) -> None:
    """Notes how a family's samples came, for `numbers` and `histograms`."""
    try:
        if usual.kind is Kind.HISTOGRAM:
            known.layout = _layout(samples, usual.name)
            size = len(known.layout.samples) if known.layout else len(samples) + 1
            known.order = [_noted(known, _base(s.labels)) for s in samples[::size]]
        else:
            step = 2 if len(samples) > 1 and samples[1].name == usual.created else 1
            known.order = [_noted(known, s.labels) for s in samples[::step]]
            default = push.default_start if usual.kind is Kind.SUM else 0
            known.layout = _columns(known.order, samples, step, push.generation, default)
    except ODD:
        known.order = []


def unsettle(known: Known) -> None:
    """Forgets how samples came; what `Columns` had of the series goes back to them."""
    layout = known.layout
    if known.order and isinstance(layout, Columns):
        for series, value in zip(known.order, layout.values, strict=True):
            series.last, series.seen = value, layout.generation
    known.order = []


def _noted(known: Known, labels: Mapping[str, str]) -> Series:
    attributes, scope = split_labels(labels)
    series = known.series.get(attributes)
    if series is None or scope != Scope() or not all(type(v) is str for v in labels.values()):
        return STRANGER
    series.labels = dict(labels)  # a copy: a collector may use one dict for all its samples
    return series


def _base(labels: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if key != "le"}


def _columns(
    order: Sequence[Series], samples: Sequence[Sample], step: int, generation: int, default: int
) -> Columns | None:
    """The samples by column; None if not every one of them became a point with the usual head."""
    created = tuple(sample.value for sample in samples[1::2]) if step == 2 else ()
    starts = map(nanoseconds, created) if created else (s.start or default for s in order)
    for series, start in zip(order, starts, strict=True):
        if series.labels is None or series.seen != generation or series.head_start != start:
            return None
    if len({*map(id, order)}) < len(order):  # a duplicate, which the rules reject
        return None
    return Columns(
        [series.labels or {} for series in order],
        [series.head for series in order],
        created,
        tuple(sample.value for sample in samples[::step]),
        generation,
    )


def numbers(
    known: Known, samples: Sequence[Sample], usual: Usual, push: Push
) -> tuple[Sequence[bytes], Sequence[Sample]]:
    """The points of numbers that come as in the last push, and the samples that came after them.

    Where one sample is not what it was, all are left to the rules.
    """
    columns = known.layout
    if not known.order or not isinstance(columns, Columns) or columns.generation == push.generation:
        unsettle(known)
        return [], samples
    step = 2 if columns.created else 1
    count = len(columns.labels) * step
    try:
        late = step == 1 and any(sample.name == usual.created for sample in samples[count:])
        halves = samples[:count:step], samples[1:count:step]
        found = None if late else _numbers(known.order, columns, *halves, usual, push)
    except ODD:
        found = None
    if found is None:
        unsettle(known)
        return [], samples
    points, values = found
    known.layout = columns._replace(values=values, generation=push.generation)
    if len(samples) > count:
        unsettle(known)
    return points, samples[count:]


def _numbers(
    order: Sequence[Series],
    columns: Columns,
    totals: Sequence[Sample],
    created: Sequence[Sample],
    usual: Usual,
    push: Push,
) -> tuple[Sequence[bytes], tuple[float, ...]] | None:
    """The points and values; None or an error of `ODD` where the rules have to decide."""
    names, labels, values, times, noted, _ = zip(*totals, strict=True)
    count = len(columns.labels)
    if (
        [*labels] != columns.labels
        or names.count(usual.name) != count
        or times.count(None) != count
        or not _plain(values, columns.values, usual.kind)
        or (columns.created and not _created_again(created, columns, usual))
    ):
        return None
    joined = Joined(columns.heads, wire.fixed64(3, push.now) + b"\x21", values)
    if noted.count(None) == count:
        return joined, values
    points = [*joined]
    for at, item in enumerate(noted):
        if item is not None:
            points[at] = _with_exemplar(order[at], values[at], item, usual.kind, push.now)
    return points, values


def _plain(values: Sequence[float], before: Sequence[float], kind: Kind) -> bool:
    """Whether no counter fell (or is NaN), and no gauge is NaN."""
    return all(map(ge, values, before if kind is Kind.SUM else values))


def _created_again(samples: Sequence[Sample], columns: Columns, usual: Usual) -> bool:
    names, labels, values, *_ = zip(*samples, strict=True)
    return (
        values == columns.created
        and [*labels] == columns.labels
        and names.count(usual.created) == len(samples)
    )


def _with_exemplar(series: Series, value: float, noted: Any, kind: Kind, now: int) -> bytes:
    item = exemplar(noted, now)
    point = NumberPoint((), series.head_start, now, float(value), (item,) if item else ())
    return wire.point(kind, point, series.attributes)


def _layout(samples: Sequence[Sample], name: str) -> Layout | None:
    """How the first histogram's samples lie, if all others may lie so; None if it is unusual."""
    base = _base(samples[0].labels)
    size = next((at for at, s in enumerate(samples) if _base(s.labels) != base), len(samples))
    told = tuple((s.name, s.labels.get("le")) for s in samples[:size])
    bounds = [float(le) for sample_name, le in told if le is not None]
    others = [sample_name.removeprefix(name) for sample_name, _ in told[len(bounds) :]]
    usual = (
        bounds
        and len(samples) % size == 0
        and all(item[0] == f"{name}_bucket" for item in told[: len(bounds)])
        and all(low < high for low, high in pairwise(bounds))
        and "_count" in others
        and len({*others}) == len(others)
        and {*others} <= {"_count", "_sum", "_created"}
    )
    if not usual:
        return None
    at = {suffix: len(bounds) + index for index, suffix in enumerate(others)}
    finite = [bound for bound in bounds if bound != math.inf]
    return Layout(
        told,
        wire.explicit_bounds(finite),
        len(bounds),
        len(finite),
        at["_count"],
        at.get("_sum", -1),
        at.get("_created", -1),
    )


class _Histogram(NamedTuple):
    """The values of one histogram's samples, and what exemplars they have."""

    before: Series
    values: list[float]
    exemplars: list[Any]


def histograms(
    known: Known, samples: Sequence[Sample], push: Push
) -> tuple[list[bytes], Sequence[Sample]]:
    """The points of histograms that lie as in the last push, and all other samples."""
    layout = known.layout
    if not isinstance(layout, Layout) or not known.order:
        known.order = []
        return [], samples
    found = _read(known.order, samples, layout)
    if found is None:
        known.order = []
        return [], samples
    points: list[bytes] = []
    left: list[Sample] = []
    size = len(layout.samples)
    for at, item in enumerate(found):
        try:
            point = _histogram(item, layout, push)
        except ODD:
            point = None
        if point is None:
            left.extend(samples[at * size : at * size + size])
        else:
            points.append(point)
    return points, left


def _read(
    order: Sequence[Series], samples: Sequence[Sample], layout: Layout
) -> list[_Histogram] | None:
    """All samples, series by series; None when one is not what it was in the last push."""
    size = len(layout.samples)
    if len(samples) != size * len(order):
        return None
    found, rest = [], iter(samples)
    try:
        for before in order:
            values: list[float] = []
            noted: list[Any] = []
            expected = dict(before.labels or ())
            for name, le in layout.samples:
                sample_name, labels, value, timestamp, item, native = next(rest)
                if le is not None:
                    expected["le"] = le
                else:
                    expected.pop("le", None)
                if (
                    sample_name != name
                    or labels != expected
                    or timestamp is not None
                    or native is not None
                ):
                    return None
                values.append(value)
                if item is not None:
                    noted.append(item)
            found.append(_Histogram(before, values, noted))
    except ODD:
        return None
    return found


def _histogram(item: _Histogram, layout: Layout, push: Push) -> bytes | None:
    """The point; None or an error of `ODD` where the rules have to decide."""
    before, values, noted = item
    count = math.trunc(values[layout.count_at])
    cumulative = [*map(math.trunc, values[: layout.finite]), count]
    start = nanoseconds(values[layout.created_at]) if layout.created_at >= 0 else 0
    if (
        before.labels is None  # a stranger
        or before.seen == push.generation
        or (not start and count < before.last)
        or values[layout.buckets - 1] > count
    ):
        return None
    total = b"" if layout.sum_at < 0 else b"\x29" + wire.pack_double(values[layout.sum_at])
    counts = wire.bucket_counts([*map(sub, cumulative, (0, *cumulative))])
    point = wire.message(
        1,
        b"".join(
            (
                before.attributes,
                wire.fixed64(2, start or before.start or push.default_start),
                wire.fixed64(3, push.now),
                b"\x21" + wire.pack_fixed64(count),
                total,
                counts,
                layout.bounds,
                _exemplars(noted, push.now),
            )
        ),
    )
    before.seen, before.last = push.generation, values[layout.count_at]
    if start:
        before.start = 0
    return point


def _exemplars(noted: Iterable[Any], now: int) -> bytes:
    items: list[Exemplar] = [item for item in (exemplar(n, now) for n in noted) if item]
    return wire.exemplars(wire.HISTOGRAM_EXEMPLARS, items) if items else b""
