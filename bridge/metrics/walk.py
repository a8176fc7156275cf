"""The fast way through prometheus_client: its children's values straight to OTLP bytes.

`collect()` builds dictionaries and tuples for every sample; this reads the numbers where they
are, which is private. So it is used only after `proven` has seen, in this process, that both
ways give the same bytes for every instrument, and only for instruments whose methods are
prometheus_client's own. Whatever is different goes the public way.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import prometheus_client.metrics as library
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary
from prometheus_client.values import MutexValue

from bridge.metrics import wire
from bridge.metrics.encoder import Encoder, Part, Resource
from bridge.metrics.from_prometheus import (
    SCOPE_PREFIX,
    STALE_NAN,
    exemplar,
    is_stale,
    nanoseconds,
)
from bridge.metrics.names import ucum_unit
from bridge.metrics.points import Kind, Metric, Scope
from bridge.metrics.problems import Problems
from bridge.otlp.wire import varint

_KINDS: dict[type, Kind] = {
    Counter: Kind.SUM,
    Gauge: Kind.GAUGE,
    Histogram: Kind.HISTOGRAM,
    Summary: Kind.SUMMARY,
}
STALE: float = struct.unpack("<d", STALE_NAN)[0]
_METHODS = ("collect", "_samples", "_multi_samples", "_child_samples", "_get_metric")


def _methods_of(cls: type) -> tuple[Any, ...]:
    return tuple(getattr(cls, name, None) for name in _METHODS)


_OWN_METHODS = {cls: _methods_of(cls) for cls in _KINDS}


class _Declined(Exception):
    """This instrument has to go the public way."""


class _Child:
    """One labelled child as the last push saw it, with what never changes already encoded."""

    __slots__ = ("attributes", "child", "created", "exemplars", "head", "noted", "start")

    def __init__(self, child: Any, attributes: bytes, start: int, length: int) -> None:
        self.child = child
        self.created = getattr(child, "_created", 0.0)
        self.attributes = attributes
        self.start = wire.fixed64(2, start)
        body = attributes + self.start
        self.head = b"\x0a" + varint(len(body) + length) + body
        self.noted: Any = None  # the exemplars that `exemplars` encodes
        self.exemplars = b""

    def encoded(self, field: int, noted: Any, found: Sequence[Any], now: int) -> bytes:
        """The exemplars `found`, encoded again only when they are not those `noted` last time."""
        if self.noted != noted:
            items = [item for item in (exemplar(one, now) for one in found) if item]
            self.noted, self.exemplars = noted, wire.exemplars(field, items)
        return self.exemplars


class _Instrument:
    """One registered instrument: its frame and its children."""

    def __init__(self, collector: Any, resource: Resource, scope: Scope) -> None:
        cls = type(collector)
        self.resource, self.scope = resource, scope
        self.kind = _KINDS[cls]
        self.bounds: tuple[float, ...] = ()
        self.has_sum = True
        name = collector._name + ("_total" if cls is Counter else "")
        self.frame = wire.metric_frame(
            Metric(
                name=name,
                description=collector._documentation,
                unit=ucum_unit(collector._unit),
                kind=self.kind,
                monotonic=cls is Counter,
                prometheus_type=cls._type,
            )
        )
        self.children: dict[tuple[str, ...], _Child] = {}
        self.pushed = 0
        self.length = 18  # time and value
        if self.kind is Kind.SUMMARY:
            self.length = 27  # time, count and sum
        if self.kind is Kind.HISTOGRAM:
            self._buckets(collector._upper_bounds)

    def _buckets(self, bounds: list[float]) -> None:
        count = len(bounds)
        self.has_sum = bounds[0] >= 0
        self.pack_counts = struct.Struct(f"<{count}Q").pack
        self.before_counts = wire.message(6, bytes(8 * count))[: -8 * count]
        self.after_counts = wire.explicit_bounds(bounds[:-1])
        inner = len(self.before_counts) + 8 * count + len(self.after_counts)
        self.length = (27 if self.has_sum else 18) + inner


class Walk:
    """Reads instruments of one registry for one encoder."""

    def __init__(self, encoder: Encoder, scope: Scope) -> None:
        self._encoder, self._scope = encoder, scope
        self._instruments: dict[Any, _Instrument] = {}
        self._push = 0
        self._has_created = shows_created()

    def begin(self) -> None:
        self._push += 1
        if self._has_created != shows_created():
            self._has_created = shows_created()
            self.forget()  # all starts are others now

    def forget(self) -> None:
        """Another process from now on."""
        self._instruments.clear()

    def take(self, collector: Any, now: int, resource: Resource) -> bool:
        """Encodes one instrument; False when it has to go the public way."""
        if not is_plain(collector):
            self._instruments.pop(collector, None)
            return False
        known = self._instruments.get(collector)
        if known is None or known.resource != resource:
            known = self._instruments[collector] = _Instrument(collector, resource, self._scope)
        try:
            points = self._points(collector, known, now)
        except (_Declined, AttributeError):
            del self._instruments[collector]
            return False
        known.pushed = self._push
        if points:
            self._encoder.add_part(Part(known.resource, self._scope, known.frame, points))
        return True

    def finish(self) -> None:
        """Ends the series of instruments that are registered no more."""
        for collector, known in list(self._instruments.items()):
            if known.pushed != self._push:
                for child in known.children.values():
                    self._encoder.end(known, child.attributes)
                del self._instruments[collector]

    def _points(self, collector: Any, known: _Instrument, now: int) -> list[bytes]:
        if collector._labelnames:
            with collector._lock:
                children = collector._metrics.copy()
        else:
            children = {(): collector}
        points: list[bytes] = []
        _LOOPS[known.kind](_Pass(self, collector._labelnames, known, children, now, points.append))
        if len(known.children) > len(children):
            for key in [key for key in known.children if key not in children]:
                self._encoder.end(known, known.children.pop(key).attributes)
        return points

    def remember(
        self, names: tuple[str, ...], known: _Instrument, key: tuple[str, ...], child: Any
    ) -> _Child:
        """Encodes what stays the same about a child; again after it was reset or replaced."""
        for value in _values(child):
            if type(value) is not MutexValue:
                raise _Declined
        attributes = tuple((n, v) for n, v in zip(names, key, strict=True) if v != "")
        encoded = wire.attributes_of(known.kind, attributes)
        start = self._start(known.kind, child, reset=key in known.children)
        made = known.children[key] = _Child(child, encoded, start, known.length)
        self._encoder.alive(known, encoded)
        return made

    def _start(self, kind: Kind, child: Any, *, reset: bool) -> int:
        """The creation; where it is not shown, the push before a reset: the public way's start."""
        if kind is Kind.GAUGE:
            return 0
        if self._has_created:
            return nanoseconds(child._created)
        return self._encoder.before if reset else self._encoder.default_start


def shows_created() -> bool | None:
    """Whether prometheus_client has `_created` series (its own switch); None if nobody knows."""
    return getattr(library, "_use_created", None)


def is_plain(collector: Any) -> bool:
    """Whether this is an instrument as prometheus_client made it."""
    cls = type(collector)
    return (
        _OWN_METHODS.get(cls) == _methods_of(cls)
        and not any(name in collector.__dict__ for name in _METHODS)
        and not any(name.startswith(SCOPE_PREFIX) for name in collector._labelnames)
    )


def _values(child: Any) -> list[Any]:
    if type(child) is Histogram:
        return [child._sum, *child._buckets]
    return [child._count, child._sum] if type(child) is Summary else [child._value]


class _Pass:
    """One instrument in one push: what its loop reads, and where its points go."""

    __slots__ = ("_names", "_walk", "append", "children", "known", "now", "series")

    def __init__(
        self,
        walk: Walk,
        names: tuple[str, ...],
        known: _Instrument,
        children: Mapping[tuple[str, ...], Any],
        now: int,
        append: Callable[[bytes], None],
    ) -> None:
        self._walk, self._names, self.known = walk, names, known
        self.children, self.series = children, known.children
        self.now, self.append = now, append

    @property
    def middle(self) -> bytes:
        """The time, and the tag of the value or count that follows it."""
        return wire.fixed64(3, self.now) + b"\x21"

    def remember(self, key: tuple[str, ...], child: Any) -> _Child:
        return self._walk.remember(self._names, self.known, key, child)


def _counters(this: _Pass) -> None:
    series, append, middle, pack = this.series, this.append, this.middle, wire.pack_double
    for key, child in this.children.items():
        one = series.get(key)
        if one is None or one.child is not child or one.created != child._created:
            one = this.remember(key, child)
        holder = child._value
        value = holder._value
        if holder._exemplar is None and value == value:
            append(one.head + middle + pack(value))
        else:
            append(_odd_number(one, this.now, value, holder._exemplar))


def _gauges(this: _Pass) -> None:
    series, append, middle, pack = this.series, this.append, this.middle, wire.pack_double
    for key, child in this.children.items():
        if "_child_samples" in child.__dict__:  # set_function
            raise _Declined
        one = series.get(key)
        if one is None or one.child is not child:
            one = this.remember(key, child)
        value = child._value._value
        if value == value:
            append(one.head + middle + pack(value))
        else:
            append(_odd_number(one, this.now, value, None, kind=Kind.GAUGE))


def _odd_number(one: _Child, now: int, value: float, found: Any, kind: Kind = Kind.SUM) -> bytes:
    if is_stale(value):
        return wire.stale_point(kind, now, one.attributes)
    extra = b""
    if found is not None:
        extra = one.encoded(wire.NUMBER_EXEMPLARS, found, (found,), now)
    return wire.message(
        1,
        one.attributes
        + one.start
        + wire.fixed64(3, now)
        + b"\x21"
        + wire.pack_double(value)
        + extra,
    )


def _histograms(this: _Pass) -> None:
    series, append, middle = this.series, this.append, this.middle
    pack, pack_count, known, now = wire.pack_double, wire.pack_fixed64, this.known, this.now
    before, after, pack_counts = known.before_counts, known.after_counts, known.pack_counts
    for key, child in this.children.items():
        one = series.get(key)
        if one is None or one.child is not child or one.created != child._created:
            one = this.remember(key, child)
        buckets = child._buckets
        counts = [int(bucket._value) for bucket in buckets]
        total = b"\x29" + pack(child._sum._value) if known.has_sum else b""
        body = b"%b%b%b%b%b%b" % (
            middle, pack_count(sum(counts)), total, before, pack_counts(*counts), after,
        )  # fmt: skip
        found = [b._exemplar for b in buckets if b._exemplar is not None]
        if found:
            body += one.encoded(wire.HISTOGRAM_EXEMPLARS, found, found, now)
            append(wire.message(1, one.attributes + one.start + body))
        else:
            append(one.head + body)


def _summaries(this: _Pass) -> None:
    series, append, middle = this.series, this.append, this.middle
    pack, pack_count = wire.pack_double, wire.pack_fixed64
    for key, child in this.children.items():
        one = series.get(key)
        if one is None or one.child is not child or one.created != child._created:
            one = this.remember(key, child)
        count = pack_count(int(child._count._value))
        append(b"%b%b%b\x29%b" % (one.head, middle, count, pack(child._sum._value)))


_LOOPS: dict[Kind, Callable[[_Pass], None]] = {
    Kind.SUM: _counters,
    Kind.GAUGE: _gauges,
    Kind.HISTOGRAM: _histograms,
    Kind.SUMMARY: _summaries,
}


def proven() -> bool:
    """Whether, with the prometheus_client of this process, both ways give the same bytes."""
    created = shows_created()
    return created is not None and _proven(created)


@lru_cache(maxsize=2)
def _proven(created: bool) -> bool:
    try:
        registry, counter = _probe()
        walked, public = _Trial(_Trial.walk), _Trial(_Trial.collect)
        same = walked.push(registry) == public.push(registry)
        counter.remove("x", "")
        return same and walked.push(registry) == public.push(registry)
    except Exception:  # noqa: BLE001 - a changed inside may fail in any way
        return False


class _Trial:
    """Pushes of the probe, one way."""

    def __init__(self, way: Callable[[_Trial, Any], None]) -> None:
        scope = Scope("probe")
        self._resource, self._way = Resource(), way
        self._encoder = Encoder(Problems(), scope=scope)
        self._walk = Walk(self._encoder, scope)
        self._now = 1_700_000_000_000_000_000

    def push(self, registry: CollectorRegistry) -> bytes:
        self._now += 1
        self._encoder.begin(self._now)
        self._walk.begin()
        for collector in list(registry._collector_to_names):
            self._way(self, collector)
        self._walk.finish()
        return b"".join(request.body() for request in self._encoder.finish())

    def walk(self, collector: Any) -> None:
        if not self._walk.take(collector, self._now, self._resource):
            raise _Declined

    def collect(self, collector: Any) -> None:
        for family in collector.collect():
            self._encoder.add_family(family, self._resource)


def _probe() -> tuple[CollectorRegistry, Counter]:
    """A registry with every instrument, every shape of labels, and the values that are odd."""
    registry = CollectorRegistry()
    ids = {"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"}
    counter = Counter("probe_jobs", "Jobs, é", ["a", "b"], registry=registry, unit="seconds")
    counter.labels("x", "").inc(2.5)
    counter.labels("y", "ü").inc(exemplar={**ids, "other": "1"})
    Counter("probe_plain", "", registry=registry).inc(1e300)
    gauge = Gauge("probe_level", "Level", ["a"], registry=registry)
    for label, value in (
        ("n", -1.5),
        ("inf", float("inf")),
        ("nan", float("nan")),
        ("stale", STALE),
    ):
        gauge.labels(label).set(value)
    Gauge("probe_plain_level", "Level", registry=registry)
    histogram = Histogram("probe_seconds", "Time", ["a"], registry=registry, buckets=(0.1, 1, 1e7))
    for value in (0.05, 0.1, 3, 1e9):
        histogram.labels("x").observe(value, exemplar=ids if value > 1 else None)
    histogram.labels("empty")
    Histogram("probe_negative", "", registry=registry, buckets=(-1, 1)).observe(-3)
    summary = Summary("probe_size", "Size", ["a"], registry=registry, unit="bytes")
    summary.labels("x").observe(7)
    summary.labels("empty")
    return registry, counter
