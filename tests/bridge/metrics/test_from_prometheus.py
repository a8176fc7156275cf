"""Table 1a, rule by rule: what each Prometheus family becomes as OTLP."""

from __future__ import annotations

import math
import struct

import pytest
from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    SummaryMetricFamily,
    UnknownMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.samples import BucketSpan, NativeHistogram, Timestamp
from prometheus_client.samples import Exemplar as PrometheusExemplar

from bridge.metrics.from_prometheus import target_attributes
from bridge.metrics.points import ExponentialPoint, Kind, Scope, StalePoint
from bridge.metrics.problems import Problems
from tests.bridge.metrics.helpers import NOW, SPAN_ID, TRACE_ID, converted, family, only

STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]


def test_counter_is_a_monotonic_sum_named_as_its_sample():
    counter = Counter("jobs", "Jobs done", registry=None, unit="seconds")
    counter.inc(3)
    metric = only(converted(family(counter)))
    assert metric.name == "jobs_seconds_total"
    assert (metric.kind, metric.monotonic, metric.delta) == (Kind.SUM, True, False)
    assert (metric.description, metric.unit) == ("Jobs done", "s")
    assert metric.metadata == {"prometheus.type": "counter"}
    assert only(metric.points).value == 3.0


def test_created_is_the_start_and_no_metric_of_its_own():
    counter = Counter("jobs", "", registry=None)
    assert only(only(converted(family(counter))).points).start == round(counter._created * 1e9)


def test_start_is_unset_without_created():
    assert only(only(converted(CounterMetricFamily("jobs", "", 1))).points).start == 0


def test_gauge_has_no_start():
    point = only(only(converted(GaugeMetricFamily("level", "", -1.5))).points)
    assert (point.value, point.start, point.time) == (-1.5, 0, NOW)


def test_unknown_is_a_gauge_that_says_so():
    metric = only(converted(UnknownMetricFamily("thing", "", 4)))
    assert (metric.kind, metric.prometheus_type) == (Kind.GAUGE, "unknown")


def test_info_is_a_non_monotonic_sum_of_one():
    info = Info("build", "", registry=None)
    info.info({"version": "1.2"})
    metric = only(converted(family(info)))
    assert (metric.name, metric.kind, metric.monotonic) == ("build_info", Kind.SUM, False)
    assert only(metric.points).value == 1
    assert only(metric.points).attributes == (("version", "1.2"),)


def test_stateset_has_a_point_for_each_state():
    enum = Enum("task", "", states=["idle", "busy"], registry=None)
    enum.state("busy")
    metric = only(converted(family(enum)))
    assert metric.prometheus_type == "stateset"
    assert [(p.attributes, p.value) for p in metric.points] == [
        ((("task", "idle"),), 0),
        ((("task", "busy"),), 1),
    ]


def test_target_info_becomes_resource_attributes():
    target = InfoMetricFamily("target", "", {"service_name": "shop", "empty": ""})
    assert target_attributes(target) == {"service_name": "shop"}
    assert target_attributes(InfoMetricFamily("build", "", {"a": "b"})) is None


def test_histogram_is_taken_apart():
    histogram = Histogram("t_seconds", "", registry=None, buckets=(0.1, 1))
    for value in (0.05, 0.1, 0.5, 7):
        histogram.observe(value)
    point = only(only(converted(family(histogram))).points)
    assert (point.bounds, point.counts, point.count) == ([0.1, 1.0], [2, 1, 1], 4)
    assert point.sum == pytest.approx(7.65)
    assert (point.min, point.max) == (None, None)
    assert point.start == round(histogram._created * 1e9)


def test_histogram_without_sum_keeps_it_unset():
    histogram = Histogram("t", "", registry=None, buckets=(-1, 1))
    histogram.observe(0.5)
    point = only(only(converted(family(histogram))).points)
    assert (point.sum, point.counts) == (None, [0, 1, 0])


@pytest.mark.parametrize(
    "buckets",
    [
        [("1", 5), ("+Inf", 3)],
        [("1", math.nan), ("+Inf", 3)],
        [("nan", 1), ("+Inf", 3)],
    ],
)
def test_histogram_whose_buckets_make_no_sense_is_dropped_and_counted(buckets):
    problems = Problems()
    assert converted(HistogramMetricFamily("t", "", buckets, 1.0), problems) == []
    assert sum(problems.counts().values()) == 1


def test_histogram_without_count_is_dropped():
    assert converted(HistogramMetricFamily("t", "", [("1", 1), ("+Inf", 2)], None)) == []


def test_summary_keeps_its_quantiles():
    summary = Family("size", "", "summary")
    for name, labels, value in (
        ("size_count", {}, 4),
        ("size_sum", {}, 10.5),
        ("size", {"quantile": "0.9"}, 5),
        ("size", {"quantile": "0.5"}, 2),
    ):
        summary.add_sample(name, labels, value)
    point = only(only(converted(summary)).points)
    assert (point.count, point.sum, point.quantiles) == (4, 10.5, [(0.5, 2.0), (0.9, 5.0)])


def test_summary_of_the_client_library():
    summary = Summary("size", "", registry=None)
    summary.observe(2)
    metric = only(converted(family(summary)))
    assert (metric.kind, only(metric.points).start > 0) == (Kind.SUMMARY, True)


def test_summary_without_sum_has_zero_and_without_count_is_dropped():
    lonely = Family("size", "", "summary")
    lonely.add_sample("size_count", {}, 4)
    assert only(only(converted(lonely)).points).sum == 0.0
    assert converted(SummaryMetricFamily("size", "")) == []


def test_gauge_histogram_is_dropped_and_counted():
    problems = Problems()
    assert converted(GaugeHistogramMetricFamily("g", "", [("+Inf", 1)], 2), problems) == []
    assert problems.counts() == {"points dropped": 3}


def native(**parts) -> Family:
    values = {
        "count_value": 10,
        "sum_value": 3.5,
        "schema": 1,
        "zero_threshold": 1e-9,
        "zero_count": 1,
        "pos_spans": [BucketSpan(2, 2), BucketSpan(1, 1)],
        "pos_deltas": [3, -1, 2],
        **parts,
    }
    found = Family("n", "", "histogram")
    found.add_sample("n", {"a": "b"}, 0, None, None, NativeHistogram(**values))
    return found


def test_native_histogram_becomes_exponential():
    point = only(only(converted(native())).points)
    assert isinstance(point, ExponentialPoint)
    assert (point.scale, point.zero_count, point.zero_threshold) == (1, 1, 1e-9)
    # Buckets 2, 3 and 5 hold 3, 2 and 4; OTLP's offset is one lower, the gap is a zero.
    assert point.positive == (1, [3, 2, 0, 4])
    assert (point.count, point.sum) == (10, 3.5)


def test_native_histogram_without_its_overflow_bucket():
    point = only(only(converted(native(pos_spans=[BucketSpan(2048, 3)]))).points)
    assert point.positive == (2047, [3])
    assert point.count == 4


def test_native_histogram_exemplars_are_kept():
    label = {"trace_id": TRACE_ID, "span_id": SPAN_ID}
    found = native(nh_exemplars=[PrometheusExemplar(label, 2.0, 1.5)])
    assert only(only(only(converted(found)).points).exemplars).trace_id.hex() == TRACE_ID


@pytest.mark.parametrize(
    "parts",
    [
        {"schema": 9},
        {"schema": -53},
        {"pos_deltas": [1.5, 1, 1]},
        {"pos_deltas": [1]},
        {"pos_deltas": [1, -5, 1]},
        {"pos_spans": [BucketSpan(0, 10**9)], "pos_deltas": [1]},
        {"zero_count": 0.5},
    ],
)
def test_native_histogram_that_otlp_cannot_hold_is_dropped(parts):
    problems = Problems()
    assert converted(native(**parts), problems) == []
    assert problems.counts() == {"points dropped": 1}


def test_exemplar_ids_are_decoded_and_the_rest_stays():
    counter = Counter("jobs", "", registry=None)
    counter.inc(2, exemplar={"trace_id": TRACE_ID, "span_id": SPAN_ID, "user": "7"})
    item = only(only(only(converted(family(counter))).points).exemplars)
    assert (item.trace_id.hex(), item.span_id.hex()) == (TRACE_ID, SPAN_ID)
    assert (item.value, item.attributes) == (2.0, (("user", "7"),))
    assert item.time_unix_nano > 0


@pytest.mark.parametrize("bad", ["00" * 16, "xyz", TRACE_ID[:-1], TRACE_ID + "0", "0 " * 16])
def test_exemplar_id_that_is_none_stays_an_attribute(bad):
    counter = Counter("jobs", "", registry=None)
    counter.inc(exemplar={"trace_id": bad})
    item = only(only(only(converted(family(counter))).points).exemplars)
    assert (item.trace_id, item.attributes) == (b"", (("trace_id", bad),))


@pytest.mark.parametrize(
    "rubbish", ["text", 7, PrometheusExemplar(None, 1), PrometheusExemplar({"a": 1}, "x")]
)
def test_an_exemplar_that_is_none_costs_only_itself(rubbish):
    point = only(only(converted(CounterMetricFamily("c", "", 1, exemplar=rubbish))).points)
    assert (point.value, list(point.exemplars)) == (1, [])


def test_scope_labels_name_the_scope_and_leave_the_point():
    gauge = Gauge(
        "level",
        "",
        ["otel_scope_name", "otel_scope_version", "otel_scope_team", "a"],
        registry=None,
    )
    gauge.labels("lib", "1.0", "core", "x").set(1)
    gauge.labels("", "", "", "y").set(2)
    named, own = converted(family(gauge))
    assert named.scope == Scope("lib", "1.0", "", (("team", "core"),))
    assert only(named.points).attributes == (("a", "x"),)
    assert own.scope == Scope()


def test_empty_label_value_means_absent():
    gauge = Gauge("level", "", ["a", "b"], registry=None)
    gauge.labels("", "x").set(1)
    assert only(only(converted(family(gauge))).points).attributes == (("b", "x"),)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_infinities_and_nan_pass(value):
    point = only(only(converted(GaugeMetricFamily("level", "", value))).points)
    assert str(point.value) == str(value)


def test_stale_mark_becomes_no_recorded_value():
    assert isinstance(
        only(only(converted(GaugeMetricFamily("level", "", STALE))).points), StalePoint
    )


@pytest.mark.parametrize("stamp", [1.5, Timestamp(1, 500_000_000)])
def test_sample_timestamp_is_kept(stamp):
    found = GaugeMetricFamily("level", "", labels=[])
    found.add_metric([], 1, timestamp=stamp)
    assert only(only(converted(found)).points).time == 1_500_000_000


def test_samples_that_are_none_cost_only_themselves():
    found = GaugeMetricFamily("level", "", 1)
    found.add_sample("level", None, 2)  # type: ignore[arg-type]
    found.add_sample("level", {"a": "b"}, None)  # type: ignore[arg-type]
    found.samples.append("rubbish")  # type: ignore[arg-type]
    problems = Problems()
    assert only(only(converted(found, problems)).points).value == 1
    assert problems.counts() == {"points dropped": 3}


def test_help_and_unit_of_a_registered_instrument():
    registry = CollectorRegistry()
    Histogram("up", "Help, ü", unit="bytes", registry=registry)
    metric = only(converted(only(registry.collect())))
    assert (metric.name, metric.description, metric.unit) == ("up_bytes", "Help, ü", "By")


@pytest.mark.parametrize(("value", "expected"), [(10**400, math.inf), (-(10**400), -math.inf)])
def test_an_integer_beyond_every_float_is_infinite(value, expected):
    point = only(only(converted(GaugeMetricFamily("level", "", value))).points)
    assert point.value == expected
