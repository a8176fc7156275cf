"""The fast way is used only where it gives the bytes of the public way."""

from __future__ import annotations

import random

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary
from prometheus_client.core import GaugeMetricFamily

from bridge.metrics import walk
from bridge.metrics.walk import Walk
from tests.bridge.metrics.helpers import Pushes, decode, metrics_in, only


@pytest.fixture
def fresh_proof():
    walk._proven.cache_clear()
    yield
    walk._proven.cache_clear()


def walker(pushes: Pushes) -> Walk:
    return Walk(pushes.encoder, walk.Scope("test"))


def take(pushes: Pushes, way: Walk, *collectors):
    pushes.now += 1_000_000_000
    pushes.encoder.begin(pushes.now)
    way.begin()
    taken = [way.take(collector, pushes.now, walk.Resource()) for collector in collectors]
    way.finish()
    found = metrics_in(decode(pushes.encoder.finish()))
    pushes.encoder.delivered()
    return taken, found


def test_both_ways_are_the_same_with_this_prometheus_client(fresh_proof):
    assert walk.proven()


def test_a_library_that_keeps_its_values_elsewhere_switches_it_off(fresh_proof, monkeypatch):
    class Renamed(walk.MutexValue):
        def get(self) -> float:
            return 2 * self._value

    monkeypatch.setattr("prometheus_client.values.ValueClass", Renamed)
    assert not walk.proven()


def test_a_library_that_writes_other_samples_switches_it_off(fresh_proof, monkeypatch):
    original = Histogram._child_samples

    def samples(self):
        return [s._replace(value=s.value + 1) for s in original(self)]

    monkeypatch.setattr(Histogram, "_child_samples", samples)
    assert not walk.proven()


def test_a_method_patched_later_sends_that_class_the_public_way(monkeypatch):
    pushes = Pushes()
    way = walker(pushes)
    counter = Counter("jobs", "", registry=None)
    assert take(pushes, way, counter)[0] == [True]
    monkeypatch.setattr(Counter, "collect", lambda self: [])
    assert take(pushes, way, counter)[0] == [False]


@pytest.mark.parametrize("kind", ["subclass", "function", "scope", "custom"])
def test_what_is_not_plain_goes_the_public_way(kind):
    class Mine(Counter):
        pass

    function = Gauge("level", "", registry=None)
    function.set_function(lambda: 3)
    custom = type("Custom", (), {"collect": lambda self: [GaugeMetricFamily("x", "", 1)]})()
    collectors = {
        "subclass": Mine("jobs", "", registry=None),
        "function": function,
        "scope": Counter("jobs", "", ["otel_scope_name"], registry=None),
        "custom": custom,
    }
    pushes = Pushes()
    assert take(pushes, walker(pushes), collectors[kind])[0] == [False]


@pytest.fixture
def without_created(monkeypatch):
    monkeypatch.setattr("prometheus_client.metrics._use_created", False)


def test_both_ways_are_the_same_without_created_series(fresh_proof, without_created):
    assert walk.proven()


def test_without_created_series_only_a_reset_has_a_start(without_created):
    pushes = Pushes()
    way = walker(pushes)
    counter = Counter("jobs", "", ["a"], registry=None)
    counter.labels("x").inc(3)
    (first,) = take(pushes, way, counter)[1]["jobs_total"].sum.data_points
    assert first.start_time_unix_nano == 0
    counter.labels("x").reset()
    (reset,) = take(pushes, way, counter)[1]["jobs_total"].sum.data_points
    assert reset.start_time_unix_nano == first.time_unix_nano
    (after,) = take(pushes, way, counter)[1]["jobs_total"].sum.data_points
    assert after.start_time_unix_nano == first.time_unix_nano


def test_created_series_may_be_switched_off_between_two_pushes(monkeypatch):
    pushes = Pushes()
    way = walker(pushes)
    counter = Counter("jobs", "", registry=None)
    (first,) = take(pushes, way, counter)[1]["jobs_total"].sum.data_points
    monkeypatch.setattr("prometheus_client.metrics._use_created", False)
    (second,) = take(pushes, way, counter)[1]["jobs_total"].sum.data_points
    assert (first.start_time_unix_nano > 0, second.start_time_unix_nano) == (True, 0)


def test_a_library_without_that_switch_switches_it_off(fresh_proof, monkeypatch):
    monkeypatch.delattr("prometheus_client.metrics._use_created")
    assert not walk.proven()


def test_reset_removed_and_made_again():
    pushes = Pushes()
    way = walker(pushes)
    counter = Counter("jobs", "", ["a"], registry=None)
    counter.labels("x").inc(3)
    counter.labels("y").inc()
    first = take(pushes, way, counter)[1]["jobs_total"].sum.data_points
    counter.labels("x").reset()
    counter.remove("y")
    reset, ended = take(pushes, way, counter)[1]["jobs_total"].sum.data_points
    assert (reset.as_double, ended.flags) == (0, 1)
    assert reset.start_time_unix_nano > first[0].start_time_unix_nano
    counter.labels("y").inc(9)
    _, again = take(pushes, way, counter)[1]["jobs_total"].sum.data_points
    assert (again.as_double, again.flags) == (9, 0)
    assert again.start_time_unix_nano > first[1].start_time_unix_nano


def test_an_unregistered_instrument_is_ended():
    pushes = Pushes()
    way = walker(pushes)
    gauge = Gauge("level", "", registry=None)
    take(pushes, way, gauge)
    assert only(take(pushes, way)[1]["level"].gauge.data_points).flags == 1
    assert take(pushes, way)[1] == {}


def test_one_that_is_registered_again_is_not_ended():
    pushes = Pushes()
    way = walker(pushes)
    take(pushes, way, Gauge("level", "", registry=None))
    pushes.encoder.begin(pushes.now + 1)
    way.begin()
    way.finish()
    pushes.encoder.finish()  # and nobody took it
    (point,) = take(pushes, way, Gauge("level", "", registry=None))[1]["level"].gauge.data_points
    assert point.flags == 0


def test_random_registries_give_the_same_bytes_both_ways():
    """Thousands of random values, labels and removals, compared push by push."""
    chance = random.Random(6)
    registry = CollectorRegistry()
    instruments = [
        Counter("jobs", "Jobs", ["a", "b"], registry=registry),
        Gauge("level", "Level", ["a", "b"], registry=registry, unit="bytes"),
        Histogram("t", "Time", ["a", "b"], registry=registry, buckets=(0.1, 1, 5)),
        Summary("size", "Size", ["a", "b"], registry=registry),
    ]
    walked = walk._Trial(walk._Trial.walk)
    public = walk._Trial(walk._Trial.collect)
    for _ in range(20):
        for _ in range(300):
            instrument = chance.choice(instruments)
            labels = (chance.choice(["", "x", "ü", "z\n"]), str(chance.randrange(9)))
            if chance.random() < 0.02:
                instrument.remove(*labels)
                continue
            value = chance.choice([0, 0.1, chance.random() * 10, 1e300])
            child = instrument.labels(*labels)
            getattr(child, "inc" if hasattr(child, "inc") else "observe")(value)
        assert sorted_points(walked.push(registry)) == sorted_points(public.push(registry))


def sorted_points(body: bytes) -> list[bytes]:
    """The two ways may end series in another order."""
    found = metrics_in(walk_request(body))
    return sorted(
        point.SerializeToString(deterministic=True)
        for metric in found.values()
        for point in getattr(metric, metric.WhichOneof("data")).data_points
    )


def walk_request(body: bytes):
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

    return metrics_service_pb2.ExportMetricsServiceRequest.FromString(body)
