"""The client's own metrics in prometheus_client's default registry, under the old names."""

from __future__ import annotations

from typing import Any

from prometheus_client import Counter, Gauge

from . import MetricsFactory, Record


class PrometheusMetricsFactory(MetricsFactory):
    """`service_name_label`, where given, becomes the label `service` of each metric."""

    def __init__(self, namespace: str = "", service_name_label: str | None = None) -> None:
        self._namespace = namespace
        self._service_name_label = service_name_label
        self._metrics: dict[tuple[str, ...], Any] = {}

    def create_counter(self, name: str, tags: dict[str, str] | None = None) -> Record:
        return self._metric(Counter, name, tags).inc  # type: ignore[no-any-return]

    def create_gauge(self, name: str, tags: dict[str, str] | None = None) -> Record:
        return self._metric(Gauge, name, tags).set  # type: ignore[no-any-return]

    def _metric(self, kind: Any, name: str, tags: dict[str, str] | None) -> Any:
        labels = dict(tags or {})
        if self._service_name_label:
            labels["service"] = self._service_name_label
        key = (name, *labels)
        if key not in self._metrics:
            self._metrics[key] = kind(
                name=name,
                documentation=name,
                labelnames=list(labels),
                namespace=self._namespace,
            )
        metric = self._metrics[key]
        return metric.labels(**labels) if labels else metric
