"""A Prometheus registry as an OpenTelemetry MetricProducer, in the SDK's own classes.

For those who want it merged into a reader and exporter of theirs. The specification has the
interface ("MetricProducer"); the Python SDK has none yet, so `produce` has the shape of the
proposal (opentelemetry-python pull request 5419): scope metrics, to which the reader gives its
resource. What the SDK's classes cannot hold (summaries, `prometheus.type`, ends of series) is
only in what `MetricsBridge` pushes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Buckets as SdkBuckets
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import REGISTRY

from bridge.metrics import points
from bridge.metrics.from_prometheus import DROPPED, convert, target_attributes
from bridge.metrics.problems import Problems
from bridge.metrics.registry import SafeRegistry, refuse_loop

SCOPE_NAME = "jaeger2otlp.bridge.metrics"


class RegistryProducer:
    """Produces what a registry holds, cumulative. Raises `LoopError` for a registry that shows
    OpenTelemetry metrics already."""

    def __init__(self, registry: Any = REGISTRY) -> None:
        refuse_loop(registry)
        self._problems = Problems()
        self._registry = registry

    def produce(self, timeout_millis: float = 10_000, **_: Any) -> Sequence[ScopeMetrics]:
        """Collects now, for each collector at most `timeout_millis`. Partial when some fail."""
        now = time.time_ns()
        scopes: dict[points.Scope, list[Metric]] = {}
        safe = SafeRegistry(self._registry, self._problems, timeout_millis / 1000)
        for family in safe.collect():
            if target_attributes(family) is not None:
                continue
            for metric in convert(family, now, self._problems):
                made = self._metric(metric)
                if made is not None:
                    scopes.setdefault(metric.scope, []).append(made)
        return [
            ScopeMetrics(_scope(scope), metrics, scope.schema_url)
            for scope, metrics in scopes.items()
        ]

    def problems(self) -> dict[str, int]:
        """What could not be produced so far, counted by kind."""
        return self._problems.counts()

    def _metric(self, metric: points.Metric) -> Metric | None:
        made = [p for p in map(_point, metric.points) if p is not None]
        lost = len(metric.points) - len(made)
        if lost:
            self._problems.report(DROPPED, metric.name, "the SDK has no such point", lost)
        if not made:
            return None
        data = _data(metric, made)
        return Metric(metric.name, metric.description, metric.unit, data)


def _data(metric: points.Metric, made: list[Any]) -> Any:
    cumulative = AggregationTemporality.CUMULATIVE
    if metric.kind is points.Kind.GAUGE:
        return Gauge(made)
    if metric.kind is points.Kind.SUM:
        return Sum(made, cumulative, metric.monotonic)
    if metric.kind is points.Kind.HISTOGRAM:
        return Histogram(made, cumulative)
    return ExponentialHistogram(made, cumulative)


def _scope(scope: points.Scope) -> InstrumentationScope:
    if not scope.name:
        return InstrumentationScope(SCOPE_NAME)
    return InstrumentationScope(scope.name, scope.version, scope.schema_url, dict(scope.attributes))


def _point(point: points.Point) -> Any:
    if isinstance(point, points.NumberPoint):
        return NumberDataPoint(
            dict(point.attributes), point.start, point.time, point.value, _exemplars(point)
        )
    if isinstance(point, points.HistogramPoint):
        return HistogramDataPoint(
            attributes=dict(point.attributes),
            start_time_unix_nano=point.start,
            time_unix_nano=point.time,
            count=point.count,
            sum=point.sum,  # type: ignore[arg-type]  # None is left out by the exporter
            bucket_counts=point.counts,
            explicit_bounds=point.bounds,
            min=None,  # type: ignore[arg-type]
            max=None,  # type: ignore[arg-type]
            exemplars=_exemplars(point),
        )
    if isinstance(point, points.ExponentialPoint):
        return ExponentialHistogramDataPoint(
            attributes=dict(point.attributes),
            start_time_unix_nano=point.start,
            time_unix_nano=point.time,
            count=point.count,
            sum=point.sum,  # type: ignore[arg-type]
            scale=point.scale,
            zero_count=point.zero_count,
            positive=SdkBuckets(*point.positive),
            negative=SdkBuckets(*point.negative),
            flags=0,
            min=None,  # type: ignore[arg-type]
            max=None,  # type: ignore[arg-type]
            exemplars=_exemplars(point),
        )
    return None


def _exemplars(point: Any) -> list[Any]:
    return [
        Exemplar(
            dict(item.attributes),
            item.value,
            item.time_unix_nano,
            int.from_bytes(item.span_id, "big") if item.span_id else None,
            int.from_bytes(item.trace_id, "big") if item.trace_id else None,
        )
        for item in point.exemplars
    ]
