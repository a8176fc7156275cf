"""The registry in the SDK's classes: the SDK's own encoder makes of them what ours makes."""

from __future__ import annotations

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics.export import MetricsData, ResourceMetrics
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary

from bridge.metrics.producer import RegistryProducer
from bridge.metrics.registry import LoopError
from tests.bridge.metrics.helpers import SPAN_ID, TRACE_ID, Pushes, metrics_in, registry_of
from tests.bridge.metrics.test_from_prometheus import native


def produced(registry) -> dict:
    resource = ResourceMetrics(Resource({}), RegistryProducer(registry).produce(), "")
    return metrics_in(encode_metrics(MetricsData([resource])))


def comparable(metric) -> str:
    """Without the metadata, which the SDK's classes lack, and the time of the collection."""
    copy = type(metric).FromString(metric.SerializeToString())
    copy.ClearField("metadata")
    for point in getattr(copy, copy.WhichOneof("data")).data_points:
        point.time_unix_nano = 0
    return str(copy)


def check(registry) -> None:
    ours = Pushes().push(*registry.collect())
    theirs = produced(registry)
    assert {n: comparable(m) for n, m in theirs.items()} == {
        n: comparable(m) for n, m in ours.items()
    }


def test_counters_gauges_and_histograms():
    registry = CollectorRegistry()
    ids = {"trace_id": TRACE_ID, "span_id": SPAN_ID}
    Counter("jobs", "Jobs", ["a"], registry=registry, unit="bytes").labels("x").inc(2, ids)
    Gauge("level", "Level", registry=registry).set(-1)
    Histogram("t", "Time", registry=registry, buckets=(1, 5)).observe(3, {**ids, "k": "v"})
    check(registry)


def test_native_histograms():
    theirs = produced(registry_of(native(zero_threshold=0.0)))
    ours = Pushes().push(native(zero_threshold=0.0))
    assert comparable(theirs["n"]) == comparable(ours["n"])


def test_summaries_are_counted_not_produced():
    registry = CollectorRegistry()
    Summary("size", "", registry=registry).observe(1)
    producer = RegistryProducer(registry)
    assert list(producer.produce()) == []
    assert producer.problems() == {"points dropped": 1}


def test_a_failing_collector_leaves_the_rest():
    registry = CollectorRegistry()
    Counter("jobs", "", registry=registry)
    Gauge("g", "", registry=registry).set_function(lambda: 1 / 0)
    assert list(produced(registry)) == ["jobs_total"]


def test_a_registry_with_the_other_direction_is_refused():
    made = type("_CustomCollector", (), {"collect": lambda self: []})
    made.__module__ = "opentelemetry.exporter.prometheus"
    registry = CollectorRegistry()
    registry.register(made())
    with pytest.raises(LoopError):
        RegistryProducer(registry)
