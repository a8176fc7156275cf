"""Collectors that fail, block, lie or go round in circles."""

from __future__ import annotations

import threading
import time

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily

from bridge.metrics.problems import Problems
from bridge.metrics.registry import LoopError, SafeRegistry, refuse_loop
from bridge.metrics.sdk import BridgeReader


class Custom:
    """A collector that does what it is told."""

    def __init__(self, collect) -> None:
        self.collect = collect


def fail():
    raise RuntimeError("secret text")


def collect(registry, problems=None, seconds=5.0):
    safe = SafeRegistry(registry, problems or Problems(), seconds)
    return sorted(family.name for family in safe.collect())


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("before", "", registry=registry)
    registry.register(Custom(lambda: [GaugeMetricFamily("custom", "", 1)]))
    return registry


def test_a_sound_registry_is_collected_whole(registry):
    registry.set_target_info({"env": "test"})
    assert collect(registry) == ["before", "custom", "target"]


def test_a_collector_that_raises_costs_only_its_own(registry, caplog):
    problems = Problems()
    registry.register(Custom(fail))
    Counter("after", "", registry=registry)
    for _ in range(3):
        assert collect(registry, problems) == ["after", "before", "custom"]
    assert problems.counts() == {"collector failed": 3}
    assert len(caplog.records) == 1
    assert "secret" not in caplog.text


def test_a_gauge_function_that_raises_costs_only_its_own(registry):
    Gauge("g", "", registry=registry).set_function(fail)
    assert collect(registry) == ["before", "custom"]


@pytest.mark.parametrize("rubbish", [None, 7, ["text"], [None], [{"a": 1}]])
def test_a_collector_that_returns_rubbish_costs_only_its_own(registry, rubbish):
    problems = Problems()
    registry.register(Custom(lambda: rubbish))
    assert collect(registry, problems) == ["before", "custom"]
    assert problems.counts()["collector failed"] == 1


def test_a_collector_that_blocks_is_left_behind_and_comes_back(registry):
    release, problems = threading.Event(), Problems()

    def block():
        release.wait(30)
        return [GaugeMetricFamily("slow", "", 1)]

    registry.register(Custom(block))
    registry.register(Custom(lambda: [GaugeMetricFamily("later", "", 1)]))
    safe = SafeRegistry(registry, problems, 1.0)

    def names():
        return sorted(f.name for f in safe.collect())

    began = time.monotonic()
    assert names() == ["before", "custom", "later"]
    assert time.monotonic() - began < 10
    began = time.monotonic()
    assert names() == ["before", "custom", "later"]
    assert time.monotonic() - began < 0.9  # it is not even asked while it still blocks
    assert problems.counts() == {"collector blocked": 2}
    release.set()
    time.sleep(0.1)
    assert names() == ["before", "custom", "later", "slow"]


def test_a_registry_of_another_make_is_collected_up_to_its_failure():
    class Other:
        def collect(self):
            yield GaugeMetricFamily("first", "", 1)
            fail()

    problems = Problems()
    assert collect(Other(), problems) == ["first"]
    assert problems.counts() == {"collector failed": 1}


def upstream_collector():
    """What opentelemetry-exporter-prometheus registers, by its module's name."""
    made = type("_CustomCollector", (), {"collect": lambda self: []})
    made.__module__ = "opentelemetry.exporter.prometheus"
    return made()


def test_a_registry_that_shows_opentelemetry_metrics_is_refused(registry):
    registry.register(upstream_collector())
    with pytest.raises(LoopError, match="sent twice"):
        refuse_loop(registry)


def test_one_that_is_registered_later_is_left_out(registry):
    problems = Problems()
    registry.register(upstream_collector())
    assert collect(registry, problems) == ["before", "custom"]
    assert problems.counts() == {"loop refused": 1}


def test_a_callback_that_collects_the_registry_that_reads_it_does_not_wait_for_itself():
    """The shape of the deadlock: SDK collection, inside it the registry, inside it the SDK."""
    from opentelemetry.metrics import Observation

    problems = Problems()
    reader = BridgeReader(problems)
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    registry = CollectorRegistry()
    registry.register(Custom(lambda: [GaugeMetricFamily("otel", "", len(str(reader.read())))]))
    meter = provider.get_meter("m")
    meter.create_observable_gauge("g", [lambda _: [Observation(len(collect(registry, problems)))]])
    began = time.monotonic()
    assert reader.read() is not None
    assert time.monotonic() - began < 2
    assert problems.counts()["loop refused"] == 1
