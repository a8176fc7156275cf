"""Families whose samples come as in the push before: straight to bytes, no point between.

No rule is decided here. What is new, falls, starts anew or is odd is left over, for
`from_prometheus.convert`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, pairwise, repeat
from operator import sub
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


class Push(NamedTuple):
    now: int  # Unix nanoseconds
    generation: int
    default_start: int


class Known(Protocol):
    """The series of a metric, as the encoder keeps them."""

    series: dict[Attributes, Series]
    order: list[Series]  # as they came in the last push; empty when it does not hold any more
    layout: Layout | None


def remember(known: Known, samples: Sequence[Sample], usual: Usual) -> None:
    """Notes how a family's samples came, for `numbers` and `histograms`."""
    try:
        if usual.kind is Kind.HISTOGRAM:
            known.layout = _layout(samples, usual.name)
            size = len(known.layout.samples) if known.layout else len(samples) + 1
            known.order = [_noted(known, _base(s.labels)) for s in samples[::size]]
        else:
            totals = samples[:: _paired(samples, usual) or 1]
            known.order = [_noted(known, s.labels) for s in totals]
    except ODD:
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


def _paired(samples: Sequence[Sample], usual: Usual) -> int:
    """2 where a `_created` sample follows each other sample, 0 where there is none."""
    return 2 if usual.created and len(samples) > 1 and samples[1][0] == usual.created else 0


def numbers(
    known: Known, samples: Sequence[Sample], usual: Usual, push: Push
) -> tuple[list[bytes], Sequence[Sample]]:
    """The points of plain numbers whose series the last push had, and all other samples."""
    found = _starts(samples, usual)
    if found is None:
        return [], samples
    step, starts = found
    name, sums, (now, generation, default) = usual.name, usual.kind is Kind.SUM, push
    default = default if sums else 0
    points: list[bytes] = []
    left: list[int] = []
    totals = samples[::step]
    moved = len(known.order) != len(totals)
    append, pack, table = points.append, wire.pack_double, known.series
    middle = wire.fixed64(3, now) + b"\x21"
    order = chain(known.order, repeat(STRANGER))
    for index, (before, sample, start) in enumerate(zip(order, totals, starts)):  # noqa: B905
        try:
            sample_name, labels, value, timestamp, noted, _ = sample
            if labels != before.labels:
                moved = True
                before = table[tuple(labels.items())]
            if (
                sample_name != name
                or before.seen == generation
                or timestamp is not None
                or not value >= before.last  # fell, or is NaN
                or (start if start >= 0 else before.start or default) != before.head_start
            ):
                left.append(index)
                continue
            if noted is None:
                append(before.head + middle + pack(value))
            else:
                append(_with_exemplar(before, sample, usual.kind, now))
            before.seen = generation
            if sums:
                before.last = value
        except ODD:
            left.append(index)
    if moved:
        known.order = []
    return points, [s for at in left for s in samples[at * step : at * step + step]]


def _starts(samples: Sequence[Sample], usual: Usual) -> tuple[int, Iterable[int]] | None:
    """How many samples each series has, and its start, -1 for none; None where that varies."""
    created = usual.created
    try:
        if not _paired(samples, usual):
            told = created and any(sample[0] == created for sample in samples)
            return None if told else (1, repeat(-1))
        starts = [
            round(other[2] * 1e9)
            for sample, other in zip(samples[::2], samples[1::2], strict=True)
            if other[0] == created and other[1] == sample[1]
        ]
        return (2, starts) if len(starts) * 2 == len(samples) else None
    except ODD:
        return None


def _with_exemplar(before: Series, sample: Sample, kind: Kind, now: int) -> bytes:
    item = exemplar(sample.exemplar, now)
    value = float(sample.value)
    point = NumberPoint((), before.head_start, now, value, (item,) if item else ())
    return wire.point(kind, point, before.attributes)


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
    if layout is None or not known.order:
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
