"""Collections of metrics to OTLP requests: what is remembered between two pushes, and the cutting.

A push knows what the one before held. So a series that is gone can be ended with one
"no recorded value" point, a counter that fell without a new creation time gets a new start, and
attributes are encoded once for all pushes.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, starmap
from typing import Protocol

from prometheus_client.metrics_core import Metric as Family
from prometheus_client.samples import Sample

from bridge.metrics import wire
from bridge.metrics.again import (
    Columns,
    Joined,
    Layout,
    Push,
    Series,
    histograms,
    numbers,
    remember,
    unsettle,
)
from bridge.metrics.from_prometheus import Usual, convert, usual_metric
from bridge.metrics.points import (
    Attributes,
    ExponentialPoint,
    HistogramPoint,
    Kind,
    Metric,
    NumberPoint,
    Point,
    Scope,
    StalePoint,
    SummaryPoint,
)
from bridge.metrics.problems import Problems
from bridge.otlp.wire import varint

# gRPC receivers take 4 MiB by default.
MAX_REQUEST_BYTES = 4_000_000
MOST_ENDED_SERIES = 100_000


@dataclass(frozen=True)
class Resource:
    attributes: Attributes = ()
    schema_url: str = ""

    def around(self, scopes: Iterable[bytes]) -> list[bytes]:
        return wire.resource_frame(self.attributes, self.schema_url, scopes)


class Placed(Protocol):
    """A metric, and where it belongs."""

    @property
    def resource(self) -> Resource: ...

    @property
    def scope(self) -> Scope: ...

    @property
    def frame(self) -> wire.Frame: ...


def _series_key(metric: Placed, attributes: bytes) -> tuple[object, ...]:
    return metric.resource, metric.scope, metric.frame.head, attributes


class MetricSeries:
    """The series of one metric of one scope."""

    __slots__ = (
        "described", "frame", "layout", "order", "pushed", "resource", "scope", "seen", "series",
    )  # fmt: skip

    def __init__(self, resource: Resource, scope: Scope, frame: wire.Frame) -> None:
        self.resource, self.scope, self.frame = resource, scope, frame
        self.described: tuple[str, str, str] | None = None  # of the family it comes from
        self.series: dict[Attributes, Series] = {}
        self.order: list[Series] = []
        self.layout: Layout | Columns | None = None
        self.seen = self.pushed = 0  # the last push, and how many series it had

    def open(self, generation: int) -> None:
        if self.seen != generation:
            self.seen, self.pushed = generation, 0


@dataclass
class Part:
    """Encoded points of one metric."""

    resource: Resource
    scope: Scope
    frame: wire.Frame
    points: Sequence[bytes]

    @property
    def pieces(self) -> Sequence[bytes]:
        """The points' bytes, in as few pieces as there are."""
        return (self.points.body,) if isinstance(self.points, Joined) else self.points

    @cached_property
    def size(self) -> int:
        return sum(map(len, self.pieces)) + self.frame.overhead


@dataclass
class Request:
    """One ExportMetricsServiceRequest, still divisible."""

    parts: list[Part] = field(default_factory=list)

    @property
    def points(self) -> int:
        return sum(len(part.points) for part in self.parts)

    def body(self) -> bytes:
        resources: dict[Resource, dict[Scope, dict[int, list[Part]]]] = {}
        for part in self.parts:
            scopes = resources.setdefault(part.resource, {})
            metrics = scopes.setdefault(part.scope, {})
            metrics.setdefault(id(part.frame), []).append(part)
        return b"".join(
            piece
            for resource, scopes in resources.items()
            for piece in resource.around(chain.from_iterable(starmap(_scope, scopes.items())))
        )

    def halves(self) -> tuple[Request, Request] | None:
        """Two requests with half the points each; None for a single point."""
        middle = self.points // 2
        if not middle:
            return None
        first, second = Request(), Request()
        for part in self.parts:
            for half, points in (
                (first, part.points[:middle]),
                (second, part.points[middle:]),
            ):
                if points:
                    half.parts.append(Part(part.resource, part.scope, part.frame, points))
            middle = max(middle - len(part.points), 0)
        return first, second


def _scope(scope: Scope, metrics: Mapping[int, Sequence[Part]]) -> list[bytes]:
    """The metrics of a scope, each once however many parts it has."""
    pieces: list[bytes] = []
    for parts in metrics.values():
        points = b"".join(chain.from_iterable(part.pieces for part in parts))
        pieces += parts[0].frame.around(points)
    return wire.scope_frame(scope, pieces)


class Encoder:
    """Used by one push after another, by one thread at a time.

    `begin`, then `add` for every metric, then `finish`; `delivered` once the receiver has it.
    """

    def __init__(
        self, problems: Problems, *, scope: Scope, max_bytes: int = MAX_REQUEST_BYTES
    ) -> None:
        self._problems = problems
        self._scope = scope
        self._max_bytes = max_bytes
        self.default_start = 0  # of counts whose source gives no start
        self._metrics: dict[tuple[object, ...], MetricSeries] = {}
        self._ended: dict[tuple[object, ...], Part] = {}
        self._parts: list[Part] = []
        self._generation = 0
        self._now = self.before = 0  # this push and the one before

    def begin(self, now: int) -> None:
        """Starts a push; `now` is the time of its points in Unix nanoseconds."""
        self.before, self._now = self._now, now
        self._generation += 1
        self._parts = []

    def add(self, metric: Metric, resource: Resource) -> None:
        """Encodes a metric. A second point for the same labels is rejected and reported."""
        scope = metric.scope if metric.scope.name else self._scope
        known = self._known(metric, scope, resource)
        points = self._points(known, metric)
        if points:
            self._parts.append(Part(resource, scope, known.frame, points))

    def add_family(self, family: Family, resource: Resource) -> None:
        """Encodes a Prometheus family: known series at once, everything else by the rules."""
        usual = usual_metric(family)
        if usual is None or not family.samples:
            self._add_by_rules(family, family.samples, resource)
            return
        key = (usual.name, usual.kind, self._scope, resource)
        known = self._metrics.get(key)
        push = Push(self._now, self._generation, self.default_start)
        left = family.samples if known is None else self._add_known(known, family, usual, push)
        self._add_by_rules(family, left, resource)
        known = self._metrics.get(key)
        if known is not None and not known.order:
            known.described = (family.documentation, family.unit, family.type)
            remember(known, family.samples, usual, push)

    def _add_by_rules(self, family: Family, samples: Sequence[Sample], resource: Resource) -> None:
        if not samples:
            return
        rest = copy.copy(family)
        rest.samples = list(samples)
        for metric in convert(rest, self._now, self._problems):
            self.add(metric, resource)

    def _add_known(
        self, known: MetricSeries, family: Family, usual: Usual, push: Push
    ) -> Sequence[Sample]:
        """Encodes what comes as in the last push; returns all other samples."""
        if known.described != (family.documentation, family.unit, family.type):
            unsettle(known)
            return family.samples
        points: Sequence[bytes]
        if usual.kind is Kind.HISTOGRAM:
            points, left = histograms(known, family.samples, push)
        else:
            points, left = numbers(known, family.samples, usual, push)
        if points:
            known.open(self._generation)
            known.pushed += len(points)
            self._parts.append(Part(known.resource, known.scope, known.frame, points))
        return left

    def add_part(self, part: Part) -> None:
        """Takes points that were encoded elsewhere (the walk, which keeps its own memory)."""
        self._parts.append(part)

    def end(self, metric: Placed, attributes: bytes) -> None:
        """Ends a series: one point that says so, as soon as a push gets through."""
        if len(self._ended) < MOST_ENDED_SERIES:
            point = wire.stale_point(metric.frame.kind, self._now, attributes)
            part = Part(metric.resource, metric.scope, metric.frame, [point])
            self._ended[_series_key(metric, attributes)] = part

    def alive(self, metric: Placed, attributes: bytes) -> None:
        """The series is back before its end was sent."""
        if self._ended:
            self._ended.pop(_series_key(metric, attributes), None)

    def finish(self) -> list[Request]:
        """The requests of this push, each within the size limit."""
        for key, known in list(self._metrics.items()):
            if known.seen != self._generation or len(known.series) != known.pushed:
                self._end_unseen(known)
                if not known.series:
                    del self._metrics[key]
        parts = [*self._parts, *self._ended.values()]
        self._parts = []
        return list(self._requests(parts))

    def delivered(self) -> None:
        """The last push was accepted: its ends need not be said again."""
        self._ended.clear()

    def forget(self) -> None:
        """Another process from now on: what was pushed before is not ours to end."""
        self._metrics.clear()
        self._ended.clear()
        self._parts = []

    def _known(self, metric: Metric, scope: Scope, resource: Resource) -> MetricSeries:
        key = (metric.name, metric.kind, scope, resource)
        known = self._metrics.get(key)
        frame = wire.metric_frame(metric)
        if known is None:
            known = self._metrics[key] = MetricSeries(resource, scope, frame)
        elif known.frame.head != frame.head or known.frame.tail != frame.tail:
            known.frame = frame
        known.open(self._generation)
        return known

    def _points(self, known: MetricSeries, metric: Metric) -> list[bytes]:
        """The metric's points in bytes; most are numbers whose series is known."""
        encoded: list[bytes] = []
        append, pack = encoded.append, wire.pack_double
        table, generation = known.series, self._generation
        sums = metric.kind is Kind.SUM and not metric.delta
        time, middle = -1, b""
        for item in metric.points:
            series = table.get(item.attributes)
            if series is None:
                series = self._first_seen(known, item.attributes)
            elif series.seen == generation:
                self._problems.report("duplicate series", metric.name)
                continue
            series.seen = generation
            known.pushed += 1
            if type(item) is not NumberPoint:
                append(self._other_point(known, series, metric, item))
                continue
            _, start, now, value, noted = item
            if sums:
                start = self._start(series, start, value) if metric.monotonic else start
            if now != time:
                time, middle = now, wire.fixed64(3, now)
            if start != series.head_start:
                series.head, series.head_start = _head(series.attributes, start), start
            if noted:
                append(wire.point(metric.kind, item._replace(start=start), series.attributes))
                continue
            number = b"\x21" + pack(value) if type(value) is float else wire.number(4, value)
            append(series.head + middle + number)
        return encoded

    def _first_seen(self, known: MetricSeries, attributes: Attributes) -> Series:
        series = Series(wire.attributes_of(known.frame.kind, attributes))
        known.series[attributes] = series
        self.alive(known, series.attributes)
        return series

    def _other_point(
        self, known: MetricSeries, series: Series, metric: Metric, item: Point
    ) -> bytes:
        if isinstance(item, StalePoint):
            del known.series[item.attributes]
            unsettle(known)
        elif not metric.delta and metric.kind is not Kind.GAUGE:
            assert isinstance(item, (HistogramPoint, ExponentialPoint, SummaryPoint))
            item.start = self._start(series, item.start, item.count)
        return wire.point(metric.kind, item, series.attributes)

    def _start(self, series: Series, start: int, value: float) -> int:
        """A value that fell without a start to explain it was reset since the last push."""
        if start:
            series.start = 0
        elif value < series.last:
            series.start = self.before
        series.last = value
        return start or series.start or self.default_start

    def _end_unseen(self, known: MetricSeries) -> None:
        generation = self._generation
        gone = [a for a, series in known.series.items() if series.seen != generation]
        unsettle(known)
        for attributes in gone:
            self.end(known, known.series.pop(attributes).attributes)

    def _requests(self, parts: Iterable[Part]) -> Iterable[Request]:
        request, size = Request(), 0
        for part in parts:
            for piece in self._pieces(part):
                room = piece.size + _overhead(piece)
                if request.parts and size + room > self._max_bytes:
                    yield request
                    request, size = Request(), 0
                request.parts.append(piece)
                size += room
        if request.parts:
            yield request

    def _pieces(self, part: Part) -> Iterable[Part]:
        """The part, cut where it would not fit one request. A single point too large is lost."""
        limit = self._max_bytes - _overhead(part) - part.frame.overhead
        if part.size - part.frame.overhead <= limit:
            yield part
            return
        for points in _cut(part.points, limit):
            if len(points) == 1 and len(points[0]) > limit:
                self._problems.report("points dropped", "a point", "larger than one request")
            else:
                yield Part(part.resource, part.scope, part.frame, points)


def _head(attributes: bytes, start: int) -> bytes:
    """What comes before the time and the value of a number point."""
    body = attributes + wire.fixed64(2, start)
    return b"\x0a" + varint(len(body) + 18) + body


def _overhead(part: Part) -> int:
    """A bound for what stands around a part: its scope and resource, lengths and tags."""
    attributes = (*part.resource.attributes, *part.scope.attributes)
    return 64 + sum(4 * (len(key) + len(str(value))) + 24 for key, value in attributes)


def _cut(points: Sequence[bytes], limit: int) -> Iterable[list[bytes]]:
    taken: list[bytes] = []
    size = 0
    for item in points:
        if taken and size + len(item) > limit:
            yield taken
            taken, size = [], 0
        taken.append(item)
        size += len(item)
    if taken:
        yield taken
