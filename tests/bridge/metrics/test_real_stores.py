"""Real Prometheus and VictoriaMetrics: what they stored is what was recorded."""

from __future__ import annotations

import subprocess
import time
import urllib.request

import pytest
from opentelemetry.sdk.metrics import Histogram as OtelHistogram
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, Summary

from bridge.metrics import MetricsBridge
from tests.servers.process import find_program, wait_until
from tests.servers.prometheus import Prometheus, promtool, takes_otlp
from tests.servers.victoria_metrics import VictoriaMetrics

TRACER = TracerProvider().get_tracer("test")


class Shop:
    """A service that records with both libraries, and knows what it recorded."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.jobs = Counter("shop_jobs", "Jobs", ["kind"], registry=self.registry)
        self.seconds = Histogram(
            "shop_work_seconds", "Work", registry=self.registry, buckets=(0.1, 1)
        )
        self.size = Summary("shop_size_bytes", "Size", registry=self.registry)
        self.level = Gauge("shop_level", "Level", registry=self.registry)
        Info("shop_build", "Build", registry=self.registry).info({"version": "1.2"})
        self.provider = MeterProvider(
            resource=Resource.create({"service.name": "shop"}), shutdown_on_exit=False
        )
        meter = self.provider.get_meter("shop.orders", "1.0")
        self.bridge_settings = {"registry": self.registry, "meter_provider": self.provider}
        self.make_instruments = lambda: (
            meter.create_counter("shop.orders", unit="{order}", description="Orders"),
            meter.create_histogram(
                "shop.order.value",
                unit="By",
                description="Size of an order",
                explicit_bucket_boundaries_advisory=[10, 100],
            ),
        )
        self.trace_ids: set[str] = set()

    def work(self) -> None:
        with TRACER.start_as_current_span("work") as span:
            self.trace_ids.add(f"{span.get_span_context().trace_id:032x}")
            self.jobs.labels("a").inc(2)
            self.jobs.labels('b"\n').inc()
            self.seconds.observe(0.5)
            self.orders.add(3, {"order.kind": "x"})
            self.value.record(50)
        self.size.observe(7)
        self.level.set(-1.5)

    def start(self, **settings) -> MetricsBridge:
        bridge = MetricsBridge(**self.bridge_settings, **settings).start()
        self.orders, self.value = self.make_instruments()
        return bridge


EXPECTED = {
    'shop_jobs_total{kind="a"}': 2,
    'shop_jobs_total{kind="b\\"\\n"}': 1,
    'shop_work_seconds_bucket{le="1.0"}': 1,
    "shop_work_seconds_count": 1,
    "shop_work_seconds_sum": 0.5,
    "shop_size_bytes_count": 1,
    "shop_size_bytes_sum": 7,
    "shop_level": -1.5,
    'shop_build_info{version="1.2"}': 1,
    'shop_orders_total{order_kind="x"}': 3,
    "shop_order_value_bytes_count": 1,
    "shop_order_value_bytes_sum": 50,
}


def test_scraped_values_and_exemplars_are_those_recorded():
    shop = Shop()
    bridge = shop.start(push=False, port=0)
    with Prometheus([f"127.0.0.1:{bridge.port}"]) as prometheus:
        shop.work()
        wait_until(lambda: prometheus.value('shop_orders_total{order_kind="x"}') == 3, 30)
        assert {query: prometheus.value(query) for query in EXPECTED} == EXPECTED
        assert prometheus.target_is_up()
        for query in ("shop_jobs_total", "shop_work_seconds_bucket", "shop_orders_total"):
            wait_until(lambda q=query: prometheus.exemplars(q), 10)
            found = {e["labels"]["trace_id"] for e in prometheus.exemplars(query)}
            assert found == shop.trace_ids, query
        for _ in range(2):
            time.sleep(1.1)
            shop.work()
        wait_until(lambda: prometheus.value('shop_orders_total{order_kind="x"}') == 9, 10)
        wait_until(lambda: len(prometheus.exemplars("shop_orders_total")) >= 2, 10)
        every = prometheus.exemplars('{__name__=~"shop_.*"}')
        assert {e["labels"]["trace_id"] for e in every} <= shop.trace_ids
    bridge.shutdown()


def test_pushed_values_are_those_recorded_and_exemplars_arrive():
    if not takes_otlp(find_program("prometheus", install="make servers")):
        pytest.skip("this Prometheus is built without the OTLP receiver")
    shop = Shop()
    with Prometheus() as prometheus:
        bridge = shop.start(endpoint=prometheus.otlp_endpoint, protocol="http", interval=3600)
        shop.work()
        assert bridge.flush()
        assert bridge.problems() == {}
        wait_until(lambda: prometheus.value("shop_level") == -1.5)
        expected = {k.replace('le="1.0"', 'le="1"'): v for k, v in EXPECTED.items()}
        assert {query: prometheus.value(query) for query in expected} == expected
        for query in ("shop_jobs_total", "shop_work_seconds_bucket", "shop_orders_total"):
            found = {e["labels"]["trace_id"] for e in prometheus.exemplars(query)}
            assert found == shop.trace_ids, query
        bridge.shutdown()


def test_a_removed_series_ends_in_prometheus_at_once():
    shop = Shop()
    with Prometheus() as prometheus:
        if "--web.enable-otlp-receiver" not in prometheus.command:
            pytest.skip("this Prometheus is built without the OTLP receiver")
        bridge = shop.start(endpoint=prometheus.otlp_endpoint, protocol="http", interval=3600)
        shop.work()
        assert bridge.flush()
        wait_until(lambda: len(prometheus.values("shop_jobs_total")) == 2)
        shop.jobs.remove("a")
        assert bridge.flush()
        wait_until(lambda: len(prometheus.values("shop_jobs_total")) == 1)
        bridge.shutdown()


def test_a_reset_counts_on_as_prometheus_users_expect():
    shop = Shop()
    with Prometheus() as prometheus:
        if "--web.enable-otlp-receiver" not in prometheus.command:
            pytest.skip("this Prometheus is built without the OTLP receiver")
        bridge = shop.start(endpoint=prometheus.otlp_endpoint, protocol="http", interval=3600)
        for amount in (5, 2):
            shop.jobs.labels("a").reset()
            shop.jobs.labels("a").inc(amount)
            assert bridge.flush()
            time.sleep(0.05)
        wait_until(lambda: prometheus.value('shop_jobs_total{kind="a"}') == 2)
        assert prometheus.value('resets(shop_jobs_total{kind="a"}[1m])') == 1
        bridge.shutdown()


def test_an_exponential_histogram_is_native_in_prometheus():
    provider = MeterProvider(shutdown_on_exit=False)
    bridge_settings = {"registry": CollectorRegistry(), "meter_provider": provider}
    aggregation = {OtelHistogram: ExponentialBucketHistogramAggregation()}
    with Prometheus() as prometheus:
        if "--web.enable-otlp-receiver" not in prometheus.command:
            pytest.skip("this Prometheus is built without the OTLP receiver")
        bridge = MetricsBridge(
            **bridge_settings,
            endpoint=prometheus.otlp_endpoint,
            protocol="http",
            preferred_aggregation=aggregation,
        ).start()
        histogram = provider.get_meter("m").create_histogram("t", unit="s")
        for value in (0, 1, 2, 1000):
            histogram.record(value)
        assert bridge.flush()
        wait_until(lambda: prometheus.value("histogram_count(t_seconds)") == 4)
        assert prometheus.value("histogram_sum(t_seconds)") == 1003
        bridge.shutdown()


def test_victoria_metrics_reads_the_same():
    shop = Shop()
    with VictoriaMetrics() as store:
        bridge = shop.start(endpoint=store.otlp_endpoint, protocol="http", interval=3600)
        shop.work()
        assert bridge.flush()
        wait_until(lambda: len(store.series()) >= 12)
        found = {}
        for series in store.series():
            labels = series["metric"]
            key = (labels["__name__"], labels.get("kind"), labels.get("le"))
            found[key] = series["values"][-1]
        assert found[("shop_jobs_total", "a", None)] == 2
        assert found[("shop_level", None, None)] == -1.5
        assert found[("shop_work_seconds_sum", None, None)] == 0.5
        assert found[("shop_work_seconds_bucket", None, "1")] == 1
        assert found[("shop_orders_total", None, None)] == 3
        assert found[("shop_order_value_bytes_sum", None, None)] == 50
        bridge.shutdown()


def test_promtool_finds_nothing_to_say():
    tool = promtool()
    shop = Shop()
    bridge = shop.start(push=False, port=0)
    shop.work()
    with urllib.request.urlopen(f"http://127.0.0.1:{bridge.port}/metrics") as answer:
        text = answer.read()
    bridge.shutdown()
    result = subprocess.run([tool, "check", "metrics"], input=text, capture_output=True, timeout=30)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
