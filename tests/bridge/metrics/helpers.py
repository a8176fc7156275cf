"""What the metrics tests share: encode a registry or families, and read the OTLP back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from prometheus_client import CollectorRegistry

from bridge.metrics.encoder import Encoder, Request, Resource
from bridge.metrics.from_prometheus import convert
from bridge.metrics.points import Metric, Scope
from bridge.metrics.problems import Problems

NOW = 1_700_000_000_000_000_000
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SPAN_ID = "b7ad6b7169203331"


def converted(family: Any, problems: Problems | None = None) -> list[Metric]:
    return convert(family, NOW, problems or Problems())


def only(items: Iterable[Any]) -> Any:
    """The single item; fails when there are none or several."""
    found = list(items)
    assert len(found) == 1, found
    return found[0]


def family(collector: Any) -> Any:
    return only(collector.collect())


def registry_of(*families: Any) -> CollectorRegistry:
    """A registry with one custom collector that yields `families`."""

    class Custom:
        def collect(self) -> Iterable[Any]:
            return families

    registry = CollectorRegistry()
    registry.register(Custom())
    return registry


def decode(requests: Iterable[Request]) -> ExportMetricsServiceRequest:
    """All requests as one, parsed by protobuf itself."""
    return ExportMetricsServiceRequest.FromString(b"".join(r.body() for r in requests))


def metrics_in(request: ExportMetricsServiceRequest) -> dict[str, Any]:
    """The metrics by name; several of one name (a split, an end) come as a list."""
    found: dict[str, Any] = {}
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                if metric.name in found:
                    found[metric.name].MergeFrom(metric)
                else:
                    found[metric.name] = metric
    return found


def attributes_of(point: Any) -> dict[str, Any]:
    return {kv.key: getattr(kv.value, kv.value.WhichOneof("value")) for kv in point.attributes}


class Pushes:
    """One encoder and what it makes of families, push after push."""

    def __init__(self, **settings: Any) -> None:
        self.problems = Problems()
        self.encoder = Encoder(self.problems, scope=Scope("test"), **settings)
        self.now = NOW

    def requests(self, *families: Any) -> list[Request]:
        self.now += 1_000_000_000
        self.encoder.begin(self.now)
        for item in families:
            self.encoder.add_family(item, Resource((("service.name", "shop"),)))
        return self.encoder.finish()

    def push(self, *families: Any, delivered: bool = True) -> dict[str, Any]:
        found = metrics_in(decode(self.requests(*families)))
        if delivered:
            self.encoder.delivered()
        return found
