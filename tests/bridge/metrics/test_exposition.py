"""A Prometheus registry as text: what prometheus_client writes, and what it stumbles over."""

from __future__ import annotations

import math

import pytest
from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary
from prometheus_client import generate_latest as generate_text
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
    UnknownMetricFamily,
)
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.samples import Exemplar, NativeHistogram

from bridge.metrics.exposition import OPENMETRICS, TEXT, Format, render, show_registry
from bridge.metrics.problems import Problems
from bridge.metrics.to_prometheus import Shown
from tests.bridge.metrics.helpers import TRACE_ID, registry_of


def text_of(registry, format_=OPENMETRICS, problems=None) -> str:
    problems = problems or Problems()
    shown = Shown(problems)
    show_registry(registry.collect(), shown, problems)
    return render(shown, format_, problems).decode()


@pytest.fixture
def registry() -> CollectorRegistry:
    """Every instrument, with labels in the order that prometheus_client sorts them to."""
    registry = CollectorRegistry(target_info={"env": "test"})
    Counter("jobs", 'Jobs "done"\n\\', ["a", "b"], registry=registry).labels("x", 'q"\n\\').inc(
        2, exemplar={"trace_id": TRACE_ID}
    )
    Gauge("level_bytes", "Level", registry=registry, unit="bytes").set(-math.inf)
    Histogram("t", "Time", ["a"], registry=registry).labels("ü").observe(0.2)
    Histogram("neg", "Time", registry=registry, buckets=(-1, 1)).observe(0.2)
    Summary("size", "Size", registry=registry).observe(3)
    Info("build", "Build", registry=registry).info({"version": "1"})
    Enum("task", "Task", states=["a", "b"], registry=registry)
    registry.register(
        type("C", (), {"collect": lambda self: [UnknownMetricFamily("u", "U", 1e7)]})()
    )
    return registry


def without_exemplar_times(text: str) -> list[str]:
    return [line.rsplit(" ", 1)[0] if " # {" in line else line for line in text.splitlines()]


def test_openmetrics_is_what_prometheus_client_writes(registry):
    theirs = generate_latest(registry).decode()
    assert without_exemplar_times(text_of(registry)) == without_exemplar_times(theirs)


def test_text_is_what_prometheus_client_writes(registry):
    assert text_of(registry, TEXT) == generate_text(registry).decode()


def test_gauge_histogram_in_both_formats():
    registry = registry_of(GaugeHistogramMetricFamily("g", "G", [("1", 2), ("+Inf", 3)], 4))
    assert text_of(registry) == generate_latest(registry).decode()
    assert text_of(registry, TEXT) == generate_text(registry).decode()


def test_sample_timestamps_are_kept():
    found = GaugeMetricFamily("g", "G", labels=[])
    found.add_metric([], 1, timestamp=1.5)
    registry = registry_of(found)
    assert text_of(registry) == generate_latest(registry).decode()
    assert text_of(registry, TEXT) == generate_text(registry).decode()


def test_a_colon_in_a_name_keeps_its_type():
    registry = CollectorRegistry()
    Counter("ns:jobs", "Jobs", registry=registry)
    assert "# TYPE ns:jobs counter\nns:jobs_total 0.0\n" in text_of(registry)


def test_an_exemplar_on_a_gauge_costs_only_itself():
    found = GaugeMetricFamily("g", "G", labels=[])
    found.add_sample("g", {}, 1, exemplar=Exemplar({"a": "b"}, 1.0))
    assert "g 1.0\n" in text_of(registry_of(found))


def test_an_exemplar_that_is_too_long_costs_only_itself():
    found = CounterMetricFamily("c", "C", 1, exemplar=Exemplar({"a": "b" * 128}, 1.0))
    assert "c_total 1.0\n" in text_of(registry_of(found))


@pytest.mark.parametrize("rubbish", ["text", 7, Exemplar(None, 1), Exemplar({"a": 1}, 1.0)])
def test_an_exemplar_that_is_none_costs_only_itself(rubbish):
    found = CounterMetricFamily("c", "C", 1, exemplar=rubbish)
    assert "c_total 1.0\n" in text_of(registry_of(found))


def test_a_native_sample_costs_only_itself_and_is_counted():
    problems = Problems()
    found = GaugeMetricFamily("g", "G", 1)
    found.add_sample("g", {"n": "1"}, None, None, None, NativeHistogram(1, 1.0, 0, 0.0, 1))
    assert "g 1.0\n" in text_of(registry_of(found), TEXT, problems)
    assert problems.counts() == {"points dropped": 1}


@pytest.mark.parametrize("value", [None, "one", [], object()])
def test_a_value_that_is_none_costs_only_itself(value):
    found = GaugeMetricFamily("g", "G", labels=["a"])
    found.add_metric(["bad"], value)
    found.add_metric(["good"], 1)
    assert text_of(registry_of(found)).count("g{") == 1


def test_the_same_labels_twice_are_shown_once():
    problems = Problems()
    found = GaugeMetricFamily("g", "G", labels=["a"])
    found.add_metric(["x"], 1)
    found.add_metric(["x"], 2)
    again = GaugeMetricFamily("g", "G", labels=["a"])
    again.add_metric(["x"], 3)
    again.add_metric(["y"], 4)
    text = text_of(registry_of(found, again), problems=problems)
    assert text.splitlines()[2:] == ['g{a="x"} 1.0', 'g{a="y"} 4.0', "# EOF"]
    assert problems.counts() == {"duplicate series": 2}


def test_lone_surrogates_do_not_lose_the_scrape():
    assert 'g{a="?"} 1.0\n' in text_of(registry_of(_gauge(["a"], ["\ud800"])))


def test_names_that_only_utf8_scrapers_can_read():
    registry = registry_of(_gauge(["a.b"], ["x"], name="g.h"))
    assert 'g_h{a_b="x"} 1' in text_of(registry)
    assert '{"g.h","a.b"="x"} 1' in text_of(registry, Format(True, "1.0.0", "allow-utf-8"))
    assert '{"g.h","a.b"="x"} 1' in text_of(registry, Format(False, "1.0.0", "allow-utf-8"))


def _gauge(names, values, name="g") -> GaugeMetricFamily:
    found = GaugeMetricFamily(name, "", labels=names)
    found.add_metric(values, 1)
    return found


def test_an_integer_beyond_every_float_is_infinite():
    registry = registry_of(GaugeMetricFamily("g", "G", 10**400), GaugeMetricFamily("h", "H", 1))
    assert "g +Inf\n" in text_of(registry)
    assert "h 1.0\n" in text_of(registry)
