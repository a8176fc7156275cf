"""Between two pushes: ended series, resets, duplicates, and requests cut to size."""

from __future__ import annotations

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import DataPointFlags
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily

from bridge.metrics.encoder import Request
from tests.bridge.metrics.helpers import (
    NOW,
    SPAN_ID,
    TRACE_ID,
    Pushes,
    attributes_of,
    decode,
    family,
    metrics_in,
    only,
)

ENDED = DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK


def gauge(**series: float) -> GaugeMetricFamily:
    found = GaugeMetricFamily("level", "", labels=["a"])
    for label, value in series.items():
        found.add_metric([label], value)
    return found


def points(found):
    return {attributes_of(p).get("a"): p for p in found["level"].gauge.data_points}


def test_what_protobuf_reads_back_is_what_was_meant():
    histogram = Histogram("t_seconds", "Time", ["a"], registry=None, buckets=(0.1, 1), unit="s")
    child = histogram.labels("ü")
    child.observe(0.05, exemplar={"trace_id": TRACE_ID, "span_id": SPAN_ID, "k": "v"})
    child.observe(5)
    found = only(Pushes().push(family(histogram)).values())
    point = only(found.histogram.data_points)
    assert (found.name, found.unit, found.description) == ("t_seconds_s", "s", "Time")
    assert attributes_of(point) == {"a": "ü"}
    assert list(point.bucket_counts) == [1, 0, 1]
    assert list(point.explicit_bounds) == [0.1, 1.0]
    assert (point.count, point.sum) == (2, 5.05)
    assert (point.start_time_unix_nano, point.time_unix_nano) == (
        round(child._created * 1e9),
        NOW + 1_000_000_000,
    )
    exemplar = only(point.exemplars)
    assert (exemplar.trace_id.hex(), exemplar.span_id.hex()) == (TRACE_ID, SPAN_ID)
    assert exemplar.as_double == 0.05
    assert found.histogram.aggregation_temporality == 2


def test_summary_reads_back():
    found = Pushes().push(SummaryMetricFamily("size", "", 3, 4.5))["size"]
    point = only(found.summary.data_points)
    assert (point.count, point.sum) == (3, 4.5)
    assert {m.key: m.value.string_value for m in found.metadata} == {"prometheus.type": "summary"}


def test_scope_and_resource_stand_around_the_metrics():
    request = decode(Pushes().requests(gauge(x=1)))
    resource = only(request.resource_metrics)
    assert attributes_of(resource.resource) == {"service.name": "shop"}
    assert only(resource.scope_metrics).scope.name == "test"


def test_a_series_that_is_gone_is_ended_once():
    pushes = Pushes()
    pushes.push(gauge(x=1, y=2))
    ended = points(pushes.push(gauge(x=1)))
    assert (ended["x"].flags, ended["y"].flags) == (0, ENDED)
    assert set(points(pushes.push(gauge(x=1)))) == {"x"}


def test_a_metric_that_is_gone_ends_all_its_series():
    pushes = Pushes()
    pushes.push(gauge(x=1, y=2))
    assert {p.flags for p in points(pushes.push()).values()} == {ENDED}
    assert pushes.push() == {}


def test_what_is_gone_is_forgotten():
    pushes = Pushes()
    for number in range(5):
        pushes.push(GaugeMetricFamily(f"level{number}", "", number))
    assert len(pushes.encoder._metrics) == 1


def test_an_end_that_was_not_delivered_is_said_again():
    pushes = Pushes()
    pushes.push(gauge(x=1, y=2))
    pushes.push(gauge(x=1), delivered=False)
    assert points(pushes.push(gauge(x=1)))["y"].flags == ENDED


def test_a_series_that_came_back_is_not_ended():
    pushes = Pushes()
    pushes.push(gauge(x=1, y=2))
    pushes.push(gauge(x=1), delivered=False)
    assert points(pushes.push(gauge(x=1, y=5)))["y"].flags == 0


def test_a_metric_that_came_back_is_not_ended():
    pushes = Pushes()
    pushes.push(gauge(x=1))
    pushes.push(delivered=False)
    assert points(pushes.push(gauge(x=5)))["x"].flags == 0


def test_the_same_labels_twice_are_rejected_and_counted():
    found = GaugeMetricFamily("level", "", labels=["a"])
    found.add_metric(["x"], 1)
    found.add_metric(["x"], 2)
    pushes = Pushes()
    assert only(pushes.push(found)["level"].gauge.data_points).as_double == 1
    assert pushes.problems.counts() == {"duplicate series": 1}


def test_a_counter_that_fell_without_created_gets_a_new_start():
    pushes = Pushes()

    def start(value):
        found = pushes.push(CounterMetricFamily("jobs", "", value))["jobs_total"]
        return only(found.sum.data_points).start_time_unix_nano

    assert start(5) == 0
    before = pushes.now
    assert start(3) == before
    assert start(4) == before


def test_reset_moves_the_start_by_created():
    pushes, counter = Pushes(), Counter("jobs", "", registry=None)
    counter.inc(5)
    first = only(pushes.push(family(counter))["jobs_total"].sum.data_points)
    counter.reset()
    second = only(pushes.push(family(counter))["jobs_total"].sum.data_points)
    assert second.as_double == 0
    assert second.start_time_unix_nano > first.start_time_unix_nano


def test_labels_from_hell_survive():
    names = ["name", "1a", "a.b", "é", "with space"]
    values = ["\x00", 'q"uote', "new\nline", "\ud800", "x" * 10_000]
    found = Gauge("level", "", names, registry=None)
    found.labels(*values).set(1)
    read = attributes_of(only(Pushes().push(family(found))["level"].gauge.data_points))
    assert read == dict(zip(names, [*values[:3], "?", values[4]], strict=True))


def many(count: int) -> GaugeMetricFamily:
    return gauge(**{f"series{i}": i for i in range(count)})


@pytest.mark.parametrize("before", [0, 1], ids=["new", "as in the last push"])
def test_a_long_metric_is_cut_and_nothing_is_lost(before):
    pushes = Pushes(max_bytes=10_000)
    for _ in range(before):
        pushes.requests(many(1000))
    requests = pushes.requests(many(1000))
    assert len(requests) > 3
    assert all(len(request.body()) <= 10_000 for request in requests)
    assert len(points(metrics_in(decode(requests)))) == 1000


def test_many_metrics_are_spread_over_requests():
    families = [GaugeMetricFamily(f"level{i}", "help " * 20, i) for i in range(200)]
    requests = Pushes(max_bytes=5_000).requests(*families)
    assert all(len(request.body()) <= 5_000 for request in requests)
    assert len(metrics_in(decode(requests))) == 200


def test_a_point_larger_than_a_request_costs_only_itself():
    pushes = Pushes(max_bytes=5_000)
    found = gauge(**{"x" * 10_000: 1, "small": 2})
    assert set(points(metrics_in(decode(pushes.requests(found))))) == {"small"}
    assert pushes.problems.counts() == {"points dropped": 1}


@pytest.mark.parametrize("before", [0, 1], ids=["new", "as in the last push"])
def test_halves_hold_the_same_points(before):
    pushes = Pushes()
    for _ in range(before):
        pushes.requests(many(7), many(0))
    request = only(pushes.requests(many(7), many(0)))
    first, second = request.halves()
    assert (first.points, second.points) == (3, 4)
    assert len(points(metrics_in(decode([first, second])))) == 7


def test_a_single_point_has_no_halves():
    assert Request().halves() is None
    assert only(Pushes().requests(gauge(x=1))).halves() is None
