"""Collections of metrics to OTLP requests: what is remembered between two pushes, and the cutting.

A push knows what the one before held. So a series that is gone can be ended with one
"no recorded value" point, a counter that fell without a new creation time gets a new start, and
attributes are encoded once for all pushes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bridge.metrics import wire
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

# gRPC receivers take 4 MiB by default.
MAX_REQUEST_BYTES = 4_000_000
MOST_ENDED_SERIES = 100_000


@dataclass(frozen=True)
class Resource:
    attributes: Attributes = ()
    schema_url: str = ""

    def around(self, scopes: bytes) -> bytes:
        return wire.resource_frame(self.attributes, self.schema_url, scopes)


class Series:
    """One time series as the last push saw it."""

    __slots__ = ("attributes", "head", "head_start", "last", "seen", "start")

    def __init__(self, attributes: bytes) -> None:
        self.attributes = attributes
        self.head = b""  # of a number point with the start `head_start`
        self.head_start = -1
        self.start = 0  # of our own making, after a reset that the source does not date
        self.last = 0.0
        self.seen = 0


class MetricSeries:
    """The series of one metric of one scope."""

    __slots__ = ("frame", "resource", "scope", "seen", "series")

    def __init__(self, resource: Resource, scope: Scope, frame: wire.Frame) -> None:
        self.resource, self.scope, self.frame = resource, scope, frame
        self.series: dict[Attributes, Series] = {}
        self.seen = 0


@dataclass
class Part:
    """Encoded points of one metric."""

    resource: Resource
    scope: Scope
    frame: wire.Frame
    points: list[bytes]

    @property
    def size(self) -> int:
        return sum(map(len, self.points)) + self.frame.overhead


@dataclass
class Request:
    """One ExportMetricsServiceRequest, still divisible."""

    parts: list[Part] = field(default_factory=list)

    @property
    def points(self) -> int:
        return sum(len(part.points) for part in self.parts)

    def body(self) -> bytes:
        resources: dict[Resource, dict[Scope, list[bytes]]] = {}
        for part in self.parts:
            scopes = resources.setdefault(part.resource, {})
            scopes.setdefault(part.scope, []).append(part.frame.around(b"".join(part.points)))
        return b"".join(
            resource.around(
                b"".join(wire.scope_frame(s, b"".join(metrics)) for s, metrics in scopes.items())
            )
            for resource, scopes in resources.items()
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
        self._metrics: dict[tuple[object, ...], MetricSeries] = {}
        self._ended: dict[tuple[object, ...], Part] = {}
        self._parts: list[Part] = []
        self._generation = 0
        self._now = self._before = 0

    def begin(self, now: int) -> None:
        """Starts a push; `now` is the time of its points in Unix nanoseconds."""
        self._before, self._now = self._now, now
        self._generation += 1
        self._parts = []

    def add(self, metric: Metric, resource: Resource) -> None:
        """Encodes a metric. A second point for the same labels is rejected and reported."""
        scope = metric.scope if metric.scope.name else self._scope
        known = self._known(metric, scope, resource)
        points = self._points(known, metric)
        if points:
            self._parts.append(Part(resource, scope, known.frame, points))

    def add_part(self, part: Part) -> None:
        """Takes points that were encoded elsewhere (the walk, which keeps its own memory)."""
        self._parts.append(part)

    def end(self, key: tuple[object, ...], part: Part) -> None:
        """Ends a series with `part`, once, as soon as a push gets through."""
        if len(self._ended) < MOST_ENDED_SERIES:
            self._ended[key] = part

    def alive(self, key: tuple[object, ...]) -> None:
        """The series is back before its end was sent."""
        self._ended.pop(key, None)

    def finish(self) -> list[Request]:
        """The requests of this push, each within the size limit."""
        for key, known in self._metrics.items():
            if known.seen != self._generation or len(known.series) != self._count(known):
                self._end_unseen(key, known)
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
        known.seen = self._generation
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
            if type(item) is not NumberPoint or item.exemplars or type(item.value) is not float:
                append(self._other_point(known, series, metric, item))
                continue
            _, start, now, value, _ = item
            if sums:
                start = self._start(series, start, value) if metric.monotonic else start
            if now != time:
                time, middle = now, wire.fixed64(3, now) + b"\x21"
            if start != series.head_start:
                series.head, series.head_start = _head(series.attributes, start), start
            append(series.head + middle + pack(value))
        return encoded

    def _first_seen(self, known: MetricSeries, attributes: Attributes) -> Series:
        series = Series(wire.attributes_of(known.frame.kind, attributes))
        known.series[attributes] = series
        if self._ended:
            self.alive((id(known), attributes))
        return series

    def _other_point(
        self, known: MetricSeries, series: Series, metric: Metric, item: Point
    ) -> bytes:
        if isinstance(item, StalePoint):
            del known.series[item.attributes]
        elif not metric.delta and metric.kind is not Kind.GAUGE:
            item = self._continued(series, item, monotonic=metric.monotonic)
        return wire.point(metric.kind, item, series.attributes)

    def _continued(self, series: Series, item: Point, *, monotonic: bool) -> Point:
        """The point with its start, which is of our own making where the source has none."""
        if isinstance(item, NumberPoint):
            if not monotonic:
                return item
            return item._replace(start=self._start(series, item.start, item.value))
        assert isinstance(item, (HistogramPoint, ExponentialPoint, SummaryPoint))
        item.start = self._start(series, item.start, item.count)
        return item

    def _start(self, series: Series, start: int, value: float) -> int:
        """A value that fell without a start to explain it was reset since the last push."""
        if start:
            series.start = 0
        elif value < series.last:
            series.start = self._before
        series.last = value
        return start or series.start

    def _count(self, known: MetricSeries) -> int:
        generation = self._generation
        return sum(series.seen == generation for series in known.series.values())

    def _end_unseen(self, key: tuple[object, ...], known: MetricSeries) -> None:
        kind, generation = known.frame.kind, self._generation
        gone = [a for a, series in known.series.items() if series.seen != generation]
        for attributes in gone:
            series = known.series.pop(attributes)
            point = wire.stale_point(kind, self._now, series.attributes)
            part = Part(known.resource, known.scope, known.frame, [point])
            self.end((id(known), attributes), part)

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
    return b"\x0a" + wire.varint(len(body) + 18) + body


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
