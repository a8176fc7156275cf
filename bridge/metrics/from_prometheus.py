"""Prometheus families to OTLP metrics, by the rules of the compatibility specification.

"Prometheus Metric points to OTLP" of the OpenTelemetry specification; where it is silent, what
the Collector's Prometheus receiver does. docs/metrics.md has the rules one by one.
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from prometheus_client.metrics_core import Metric as Family
from prometheus_client.samples import NativeHistogram, Sample

from bridge.metrics.exemplars import LazyExemplar
from bridge.metrics.names import ucum_unit
from bridge.metrics.points import (
    Attributes,
    Exemplar,
    ExponentialPoint,
    HistogramPoint,
    Kind,
    Metric,
    NumberPoint,
    Point,
    Scope,
    StalePoint,
    SummaryPoint,
    as_float,
)
from bridge.metrics.problems import Problems

SCOPE_PREFIX = "otel_scope_"
STALE_NAN = struct.pack("<Q", 0x7FF0000000000002)
TRACE_ID_LABELS = ("trace_id", "traceID")
SPAN_ID_LABELS = ("span_id", "spanID")
DROPPED = "points dropped"
CUSTOM_BUCKETS_SCHEMA = -53
MOST_BUCKETS = 20_000
NO_SCOPE = Scope()


def convert(family: Family, now: int, problems: Problems) -> list[Metric]:
    """The OTLP metrics of one family: more than one where it spans scopes or sample names.

    `now` (Unix nanoseconds) is the time of samples that have none. A start is set only where
    the family has `_created` samples.
    """
    handler = _HANDLERS.get(family.type)
    if handler is None:
        problems.report(DROPPED, family.name, f"OTLP has no {family.type}", len(family.samples))
        return []
    found = _Found(family, now, problems)
    handler(found)
    return list(found.metrics.values())


def _sound(sample: Any) -> bool:
    if not isinstance(sample, Sample) or not isinstance(sample.labels, Mapping):
        return False
    if sample.native_histogram is not None:
        return True
    return isinstance(sample.value, (int, float)) and isinstance(sample.name, str)


def _bounded(sample: Sample) -> Sample:
    if type(sample.value) is int and abs(sample.value) > 2**63:
        return sample._replace(value=as_float(sample.value))
    return sample


class Usual(NamedTuple):
    """What most families of a type become: one metric, and the name of `_created` samples."""

    name: str
    kind: Kind
    created: str


def usual_metric(family: Family) -> Usual | None:
    """The metric of a family of numbers or histograms; None for others."""
    if family.type == "counter":
        return Usual(f"{family.name}_total", Kind.SUM, f"{family.name}_created")
    if family.type == "histogram":
        return Usual(family.name, Kind.HISTOGRAM, f"{family.name}_created")
    return Usual(family.name, Kind.GAUGE, "") if family.type in {"gauge", "unknown"} else None


def target_attributes(family: Family) -> dict[str, str] | None:
    """The labels of a `target` info family, which become resource attributes; None for others."""
    if family.type != "info" or family.name != "target":
        return None
    return {key: value for s in family.samples for key, value in s.labels.items() if value}


class _Found:
    """The metrics made so far of one family, by scope and name."""

    def __init__(self, family: Family, now: int, problems: Problems) -> None:
        self.family, self.now, self.problems = family, now, problems
        self.metrics: dict[tuple[Scope, str, Kind], Metric] = {}

    def add(
        self,
        name: str,
        kind: Kind,
        labels: Mapping[str, str],
        make: Callable[[Attributes], Point],
        *,
        monotonic: bool = False,
    ) -> None:
        attributes, scope = split_labels(labels)
        key = (scope, name, kind)
        metric = self.metrics.get(key)
        if metric is None:
            metric = self.metrics[key] = Metric(
                name=name,
                description=self.family.documentation,
                unit=ucum_unit(self.family.unit),
                kind=kind,
                monotonic=monotonic,
                prometheus_type=self.family.type,
                scope=scope,
            )
        metric.points.append(make(attributes))

    def sound_samples(self) -> list[Sample]:
        """The family's samples without those that are none."""
        sound = [_bounded(s) for s in self.family.samples if _sound(s)]
        lost = len(self.family.samples) - len(sound)
        if lost:
            self.problems.report(DROPPED, self.family.name, "samples that are no samples", lost)
        return sound

    def drop(self, why: str) -> None:
        self.problems.report(DROPPED, self.family.name, why)

    def time(self, sample: Sample) -> int:
        return nanoseconds(sample.timestamp) if sample.timestamp is not None else self.now


def split_labels(labels: Mapping[str, str]) -> tuple[tuple[tuple[str, str], ...], Scope]:
    """Labels as attributes (an empty value means absent) and the scope they name."""
    if not any(key.startswith(SCOPE_PREFIX) for key in labels):
        return tuple((key, str(value)) for key, value in labels.items() if value != ""), NO_SCOPE
    scope = {
        key.removeprefix(SCOPE_PREFIX): str(value)
        for key, value in labels.items()
        if key.startswith(SCOPE_PREFIX)
    }
    attributes = tuple(
        (key, str(value))
        for key, value in labels.items()
        if value != "" and not key.startswith(SCOPE_PREFIX)
    )
    return attributes, Scope(
        scope.pop("name", ""),
        scope.pop("version", ""),
        scope.pop("schema_url", ""),
        tuple((key, value) for key, value in scope.items() if value),
    )


def nanoseconds(seconds: Any) -> int:
    """A float, int or `Timestamp` of seconds as integer nanoseconds; 0 for what is no time."""
    if hasattr(seconds, "nsec"):
        return max(int(seconds.sec) * 10**9 + int(seconds.nsec), 0)
    seconds = float(seconds)
    return max(round(seconds * 1e9), 0) if math.isfinite(seconds) else 0


def is_stale(value: float) -> bool:
    """Whether this NaN is Prometheus' mark for a series that ended."""
    return value != value and struct.pack("<d", value) == STALE_NAN


def exemplar(found: Any, time: int) -> Exemplar | None:
    """An OTLP exemplar: well-formed ids are decoded, all else stays. None for what is none."""
    if not found:
        return None
    if isinstance(found, LazyExemplar):
        trace_id, span_id = found.ids
        return Exemplar(found.value, nanoseconds(found.timestamp), trace_id, span_id)
    try:
        labels, value = dict(found.labels), float(found.value)
        when = time if found.timestamp is None else nanoseconds(found.timestamp)
    except (AttributeError, TypeError, ValueError):
        return None
    trace_id = _take_id(labels, TRACE_ID_LABELS, 16)
    span_id = _take_id(labels, SPAN_ID_LABELS, 8)
    attributes = tuple((str(key), str(value)) for key, value in labels.items())
    return Exemplar(value, when, trace_id, span_id, attributes)


def _take_id(labels: dict[str, str], names: Sequence[str], width: int) -> bytes:
    """Removes and decodes the first label of exactly `width` bytes in hex, not all zero."""
    for name in names:
        value = labels.get(name)
        if not isinstance(value, str) or len(value) != width * 2:
            continue
        try:
            decoded = bytes.fromhex(value)
        except ValueError:
            continue
        if len(decoded) == width and any(decoded):
            del labels[name]
            return decoded
    return b""


def _numbers(found: _Found, kind: Kind, *, monotonic: bool) -> None:
    """Counters, gauges and their like."""
    created_name = f"{found.family.name}_created" if monotonic else ""
    samples = found.sound_samples()
    starts = {_key(s.labels): nanoseconds(s.value) for s in samples if s.name == created_name}
    for sample in samples:
        if sample.name != created_name:
            start = starts.get(_key(sample.labels), 0)
            found.add(
                sample.name,
                kind,
                sample.labels,
                functools.partial(_number, found, sample, start),
                monotonic=monotonic,
            )


def _number(found: _Found, sample: Sample, start: int, attributes: Attributes) -> Point:
    value, time = float(sample.value), found.time(sample)
    if is_stale(value):
        return StalePoint(attributes, time)
    item = exemplar(sample.exemplar, time)
    return NumberPoint(attributes, start, time, value, (item,) if item else ())


def _counter(found: _Found) -> None:
    _numbers(found, Kind.SUM, monotonic=True)


def _gauge(found: _Found) -> None:
    _numbers(found, Kind.GAUGE, monotonic=False)


def _non_monotonic(found: _Found) -> None:
    """Info and StateSet."""
    _numbers(found, Kind.SUM, monotonic=False)


def _key(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(labels.items())


class _Group:
    """The samples of one histogram or summary series."""

    def __init__(self, labels: Mapping[str, str], time: int) -> None:
        self.labels, self.time = labels, time
        self.parts: list[tuple[float, float]] = []  # (le or quantile, value)
        self.count: float | None = None
        self.sum: float | None = None
        self.start = 0
        self.exemplars: list[Exemplar] = []
        self.native: NativeHistogram | None = None

    def take(self, suffix: str, part: str | None, sample: Sample) -> None:
        item = exemplar(sample.exemplar, self.time)
        if item:
            self.exemplars.append(item)
        if sample.native_histogram is not None:
            self.native = sample.native_histogram
        elif suffix == "_count":
            self.count = sample.value
        elif suffix == "_sum":
            self.sum = sample.value
        elif suffix == "_created":
            self.start = nanoseconds(sample.value)
        elif part is not None:
            self.parts.append((float(part), sample.value))


def _groups(found: _Found, part_label: str) -> Iterable[_Group]:
    name = found.family.name
    groups: dict[tuple[tuple[str, str], ...], _Group] = {}
    for sample in found.sound_samples():
        labels = sample.labels
        part = labels.get(part_label)
        if part is not None:
            labels = {key: value for key, value in labels.items() if key != part_label}
        key = _key(labels)
        group = groups.get(key)
        if group is None:
            group = groups[key] = _Group(labels, found.time(sample))
        group.take(sample.name.removeprefix(name), part, sample)
    return groups.values()


def _histogram(found: _Found) -> None:
    for group in _groups(found, "le"):
        if group.native is not None:
            native_histogram(found, group.labels, group.native, group)
        elif group.count is None:
            found.drop("a histogram without _count")
        elif is_stale(group.count):
            _end(found, group, Kind.HISTOGRAM)
        else:
            _classic(found, group, group.count)


def _end(found: _Found, group: _Group, kind: Kind) -> None:
    found.add(found.family.name, kind, group.labels, lambda a: StalePoint(a, group.time))


def _classic(found: _Found, group: _Group, count: float) -> None:
    group.parts.sort(key=lambda part: part[0])
    bounds = [bound for bound, _ in group.parts if bound != math.inf]
    counts = differences([*(value for bound, value in group.parts if bound != math.inf), count])
    inf = [value for bound, value in group.parts if bound == math.inf]
    if counts is None or any(math.isnan(b) for b in bounds) or (inf and inf[0] > count):
        found.drop("a histogram whose buckets are NaN, fall, or exceed its count")
        return

    def make(attributes: Attributes) -> Point:
        return HistogramPoint(
            attributes,
            group.start,
            group.time,
            int(count),
            None if group.sum is None else float(group.sum),
            bounds,
            counts,
            group.exemplars,
        )

    found.add(found.family.name, Kind.HISTOGRAM, group.labels, make)


def differences(cumulative: Sequence[float]) -> list[int] | None:
    """Per-bucket counts of cumulative ones; None when they are NaN, infinite or fall."""
    counts, before = [], 0
    for value in cumulative:
        if not math.isfinite(value) or int(value) < before:
            return None
        counts.append(int(value) - before)
        before = int(value)
    return counts


def native_histogram(
    found: _Found, labels: Mapping[str, str], native: NativeHistogram, group: _Group
) -> None:
    """An integer native histogram as an exponential one (schema -4 to 8), else dropped."""
    extra = (exemplar(item, group.time) for item in native.nh_exemplars or ())
    exemplars = [*group.exemplars, *(item for item in extra if item)]
    if native.schema == CUSTOM_BUCKETS_SCHEMA:
        _custom_buckets(found, labels, native, group, exemplars)
        return
    if not -4 <= native.schema <= 8:
        found.drop(f"a native histogram of schema {native.schema}")
        return
    highest = 1024 << native.schema if native.schema >= 0 else 1024 >> -native.schema
    positive = dense(native.pos_spans, native.pos_deltas, highest)
    negative = dense(native.neg_spans, native.neg_deltas, highest)
    if positive is None or negative is None or not float(native.zero_count).is_integer():
        found.drop("a native histogram of floats, or whose spans and deltas do not fit")
        return
    zero = int(native.zero_count)

    def make(attributes: Attributes) -> Point:
        return ExponentialPoint(
            attributes,
            group.start,
            group.time,
            zero + sum(positive[1]) + sum(negative[1]),
            float(native.sum_value),
            native.schema,
            zero,
            float(native.zero_threshold),
            positive,
            negative,
            exemplars,
        )

    found.add(found.family.name, Kind.EXPONENTIAL, labels, make)


def dense(spans: Any, deltas: Any, highest: int) -> tuple[int, list[int]] | None:
    """Spans and deltas as (OTLP offset, counts); None where they make no histogram.

    A Prometheus bucket is named by its upper bound, an OTLP one by its lower: hence the -1.
    Buckets above index `highest` hold what no float64 can be and are left out.
    """
    counts: list[int] = []
    index, first, value = 0, 0, 0
    remaining = iter(deltas or ())
    for number, (offset, length) in enumerate(spans or ()):
        if number == 0:
            index = first = offset
        elif offset < 0:
            return None
        else:
            counts.extend([0] * min(offset, MOST_BUCKETS))
            index += offset
        for _ in range(length):
            delta = next(remaining, None)
            if delta is None or delta != int(delta) or len(counts) > MOST_BUCKETS:
                return None
            value += int(delta)
            if value < 0:
                return None
            if index <= highest:
                counts.append(value)
            index += 1
    return (first - 1, counts) if next(remaining, None) is None else None


def _custom_buckets(
    found: _Found,
    labels: Mapping[str, str],
    native: NativeHistogram,
    group: _Group,
    exemplars: Sequence[Exemplar],
) -> None:
    """A native histogram with bounds of its own (schema -53) as an explicit one."""
    bounds = [float(bound) for bound in getattr(native, "custom_values", None) or ()]
    buckets = dense(native.pos_spans, native.pos_deltas, len(bounds) + 1)
    if not bounds or buckets is None or buckets[0] + 1 < 0:
        found.drop("a native histogram with custom buckets but no bounds")
        return
    counts = [*([0] * (buckets[0] + 1)), *buckets[1]]
    counts = (counts + [0] * (len(bounds) + 1))[: len(bounds) + 1]

    def make(attributes: Attributes) -> Point:
        total, value = sum(counts), float(native.sum_value)
        return HistogramPoint(
            attributes, group.start, group.time, total, value, bounds, counts, exemplars
        )

    found.add(found.family.name, Kind.HISTOGRAM, labels, make)


def _summary(found: _Found) -> None:
    for group in _groups(found, "quantile"):
        if group.count is None:
            found.drop("a summary without _count")
        elif is_stale(group.count):
            _end(found, group, Kind.SUMMARY)
        elif not math.isfinite(group.count):
            found.drop("a summary whose count is no number")
        else:
            _one_summary(found, group, group.count)


def _one_summary(found: _Found, group: _Group, count: float) -> None:
    def make(attributes: Attributes) -> Point:
        return SummaryPoint(
            attributes,
            group.start,
            group.time,
            int(count),
            float(group.sum or 0.0),
            sorted((quantile, float(value)) for quantile, value in group.parts),
        )

    found.add(found.family.name, Kind.SUMMARY, group.labels, make)


_HANDLERS: dict[str, Callable[[_Found], None]] = {
    "counter": _counter,
    "gauge": _gauge,
    "unknown": _gauge,
    "info": _non_monotonic,
    "stateset": _non_monotonic,
    "histogram": _histogram,
    "summary": _summary,
}
