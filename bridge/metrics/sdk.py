"""OpenTelemetry's side: one reader for both ways out, and its metrics as OTLP points.

One reader, because every reader costs each recording its own aggregation. The SDK's exemplar
reservoirs are emptied by every collection, so the reader keeps the latest exemplars: a scrape
takes none away from the next scraper or from the push.
"""

from __future__ import annotations

import contextvars
import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    MetricReader,
    MetricsData,
    NumberDataPoint,
    Sum,
)

from bridge.metrics import points
from bridge.metrics.encoder import Resource
from bridge.metrics.points import Kind, Scope
from bridge.metrics.problems import Problems
from bridge.metrics.registry import LOOP

MOST_EXEMPLARS = 16
MOST_KEPT = 200_000  # series whose attributes are kept as tuples

_reading: contextvars.ContextVar[bool] = contextvars.ContextVar("reading", default=False)


class BridgeReader(MetricReader):
    """Give it to a `MeterProvider(metric_readers=[...])`; cumulative, as Prometheus needs it.

    `preferred_aggregation` is the SDK's.
    """

    def __init__(
        self, problems: Problems, preferred_aggregation: dict[type, Any] | None = None
    ) -> None:
        super().__init__(preferred_aggregation=preferred_aggregation)
        self.on_shutdown: list[Any] = []
        self.problems = problems
        self._lock = threading.Lock()
        self._held_for_fork = False
        self._data: MetricsData | None = None
        self._exemplars: dict[int, _Remembered] = {}
        self._frozen: dict[int, tuple[Any, points.Attributes]] = {}

    def read(self) -> MetricsData | None:
        """Collects now. None without metrics, before a provider has the reader, or in a loop."""
        if _reading.get():
            self.problems.report(LOOP, "an instrument whose callback collects its own metrics")
            return None
        token = _reading.set(True)
        try:
            with self._lock:
                return self._collected()
        finally:
            _reading.reset(token)

    def _collected(self) -> MetricsData | None:
        self._data = None
        if self._collect is None:
            return None
        try:
            self.collect()
        except Exception as error:  # noqa: BLE001 - callbacks of the application run in there
            self.problems.report("collector failed", "OpenTelemetry", type(error).__name__)
            return None
        data, self._data = self._data, None
        if data is not None:
            self._remember(data)
        return data

    def exemplars(self, point: Any) -> Sequence[Any]:
        """The latest exemplars of a point's series: one for a number, one for each bucket."""
        known = self._exemplars.get(id(point.attributes))
        if known is None or known.attributes is not point.attributes:
            return ()
        return known.found

    def attributes(self, point: Any) -> points.Attributes:
        """A point's attributes as a tuple; made once for each series, whose dict stays the same."""
        key = id(point.attributes)
        known = self._frozen.get(key)
        if known is None or known[0] is not point.attributes:
            if len(self._frozen) >= MOST_KEPT:
                self._frozen.clear()
            known = self._frozen[key] = (point.attributes, frozen(point.attributes))
        return known[1]

    def _remember(self, data: MetricsData) -> None:
        kept: dict[int, _Remembered] = {}
        for resource in data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self._remember_points(metric.data.data_points, kept)
        self._exemplars = kept

    def _remember_points(self, found: Sequence[Any], kept: dict[int, _Remembered]) -> None:
        before = self._exemplars
        for point in found:
            key = id(point.attributes)
            known = before.get(key) if before else None
            if known is not None and known.attributes is not point.attributes:
                known = None
            if point.exemplars:
                known = _Remembered(point.attributes, _merged(point, known))
            if known is not None:
                kept[key] = known

    def _receive_metrics(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> None:
        self._data = metrics_data

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """The provider ends: what was recorded until now is sent."""
        for call in self.on_shutdown:
            call()

    def before_fork(self) -> None:
        """Keeps collections out of the fork: the child must not inherit a half-done one."""
        self._held_for_fork = self._lock.acquire(timeout=5)

    def after_fork_in_parent(self) -> None:
        if self._held_for_fork:
            self._held_for_fork = False
            self._lock.release()

    def after_fork_in_child(self) -> None:
        self._lock = threading.Lock()
        self._held_for_fork = False
        self._exemplars, self._frozen = {}, {}


class _Remembered:
    __slots__ = ("attributes", "found")

    def __init__(self, attributes: Any, found: Sequence[Any]) -> None:
        self.attributes, self.found = attributes, found


def _merged(point: Any, known: _Remembered | None) -> Sequence[Any]:
    """The newest exemplar of a number; of a histogram, the newest in each bucket."""
    if isinstance(point, NumberDataPoint):
        return (max(point.exemplars, key=lambda e: e.time_unix_nano),)
    every = [*(known.found if known else ()), *point.exemplars]
    if not isinstance(point, HistogramDataPoint):
        return every[-MOST_EXEMPLARS:]
    latest: dict[int, Any] = {}
    for item in every:
        bucket = bisect_left(point.explicit_bounds, item.value)
        if bucket not in latest or latest[bucket].time_unix_nano <= item.time_unix_nano:
            latest[bucket] = item
    return tuple(latest[bucket] for bucket in sorted(latest))


def otlp_metrics(
    data: MetricsData, reader: BridgeReader
) -> Iterator[tuple[Resource, points.Metric]]:
    """The SDK's metrics as OTLP points, each with the resource it belongs to."""
    for resource_metrics in data.resource_metrics:
        resource = resource_of(resource_metrics.resource)
        for scope_metrics in resource_metrics.scope_metrics:
            scope = scope_of(scope_metrics.scope)
            for metric in scope_metrics.metrics:
                try:
                    made = _metric(metric, scope)
                    if made is None:
                        continue
                    to_point = _POINTS[made.kind]
                    made.points = [to_point(point, reader) for point in metric.data.data_points]
                except Exception as error:  # noqa: BLE001 - one metric must not lose a push
                    reader.problems.report("points dropped", metric.name, type(error).__name__)
                    continue
                yield resource, made


def resource_of(resource: Any) -> Resource:
    return Resource(frozen(resource.attributes), resource.schema_url or "")


def scope_of(scope: Any) -> Scope:
    return Scope(scope.name, scope.version or "", scope.schema_url or "", frozen(scope.attributes))


def frozen(attributes: Mapping[str, Any] | None) -> points.Attributes:
    """Attributes as a tuple that can be hashed."""
    if not attributes:
        return ()
    return tuple(
        (key, tuple(value) if isinstance(value, (list, tuple)) else value)
        for key, value in attributes.items()
    )


def _metric(metric: Any, scope: Scope) -> points.Metric | None:
    data = metric.data
    kind = _KINDS.get(type(data))
    if kind is None:
        return None
    temporality = getattr(data, "aggregation_temporality", None)
    return points.Metric(
        name=metric.name,
        description=metric.description or "",
        unit=metric.unit or "",
        kind=kind,
        monotonic=getattr(data, "is_monotonic", False),
        scope=scope,
        delta=temporality is AggregationTemporality.DELTA,
    )


def _exemplars(point: Any, reader: BridgeReader) -> Sequence[points.Exemplar]:
    found = reader.exemplars(point)
    if not found:
        return ()
    return [
        points.Exemplar(
            item.value,
            item.time_unix_nano,
            item.trace_id.to_bytes(16, "big") if item.trace_id else b"",
            item.span_id.to_bytes(8, "big") if item.span_id else b"",
            frozen(item.filtered_attributes),
        )
        for item in found
    ]


def _number(point: NumberDataPoint, reader: BridgeReader) -> points.NumberPoint:
    return points.NumberPoint(
        reader.attributes(point),
        point.start_time_unix_nano or 0,
        point.time_unix_nano,
        point.value,
        _exemplars(point, reader),
    )


def _histogram(point: HistogramDataPoint, reader: BridgeReader) -> points.HistogramPoint:
    return points.HistogramPoint(
        reader.attributes(point),
        point.start_time_unix_nano or 0,
        point.time_unix_nano,
        point.count,
        point.sum,
        point.explicit_bounds,
        point.bucket_counts,
        _exemplars(point, reader),
        point.min,
        point.max,
    )


def _exponential(
    point: ExponentialHistogramDataPoint, reader: BridgeReader
) -> points.ExponentialPoint:
    return points.ExponentialPoint(
        reader.attributes(point),
        point.start_time_unix_nano or 0,
        point.time_unix_nano,
        point.count,
        point.sum,
        point.scale,
        point.zero_count,
        getattr(point, "zero_threshold", 0.0) or 0.0,
        (point.positive.offset, point.positive.bucket_counts),
        (point.negative.offset, point.negative.bucket_counts),
        _exemplars(point, reader),
        point.min,
        point.max,
    )


_KINDS: dict[type, Kind] = {
    Sum: Kind.SUM,
    Gauge: Kind.GAUGE,
    Histogram: Kind.HISTOGRAM,
    ExponentialHistogram: Kind.EXPONENTIAL,
}
_POINTS: dict[Kind, Any] = {
    Kind.SUM: _number,
    Kind.GAUGE: _number,
    Kind.HISTOGRAM: _histogram,
    Kind.EXPONENTIAL: _exponential,
}
