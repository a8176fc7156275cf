"""The bridge as a service uses it: set up, both ways out, the same numbers on both."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import urllib.request

import pytest
from opentelemetry import metrics as api
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, InfoMetricFamily
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from bridge.metrics import LoopError, MetricsBridge, PortInUse, uninstall_exemplars
from bridge.otlp.receiver import OtlpReceiver
from bridge.otlp.settings import SettingsError
from tests.bridge.metrics.helpers import attributes_of, only, registry_of

TRACER = TracerProvider().get_tracer("test")


@pytest.fixture
def receiver():
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in ("OTEL_METRICS_EXPORTER", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    yield
    uninstall_exemplars()


@pytest.fixture
def bridges(receiver):
    """Makes bridges that are shut down after the test."""
    made = []

    def make(registry=None, **settings) -> MetricsBridge:
        if settings.get("push") is not False:
            settings = {"endpoint": receiver.http_endpoint, "protocol": "http", **settings}
        settings.setdefault("meter_provider", provider())
        settings.setdefault("interval", 3600)
        bridge = MetricsBridge(
            registry=CollectorRegistry() if registry is None else registry, **settings
        )
        made.append(bridge)
        return bridge.start()

    yield make
    for bridge in made:
        bridge.shutdown(0.5)


def provider(**settings) -> MeterProvider:
    return MeterProvider(shutdown_on_exit=False, **settings)


def pushed(receiver) -> dict[str, list]:
    """The last data point of every series, by metric name."""
    found: dict[str, dict] = {}
    for resource in receiver.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in getattr(metric, metric.WhichOneof("data")).data_points:
                    series = tuple(sorted(attributes_of(point).items()))
                    found.setdefault(metric.name, {})[series] = point
    return {name: list(series.values()) for name, series in found.items()}


def scraped(bridge, accept="application/openmetrics-text") -> str:
    request = urllib.request.Request(
        f"http://127.0.0.1:{bridge.port}/metrics", headers={"Accept": accept}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def values(text: str) -> dict[tuple[str, tuple], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_service_with_prometheus_client_only(bridges, receiver):
    registry = CollectorRegistry()
    bridge = bridges(registry, port=0)
    Counter("jobs", "", registry=registry).inc(3)
    assert bridge.flush()
    assert only(pushed(receiver)["jobs_total"]).as_double == 3
    assert "jobs_total 3.0" in scraped(bridge)


def test_a_service_with_opentelemetry_only(bridges, receiver):
    bridge = bridges(port=0)
    bridge.meter_provider.get_meter("m").create_counter("jobs").add(3)
    assert bridge.flush()
    assert only(pushed(receiver)["jobs"]).as_int == 3
    assert 'jobs_total{otel_scope_name="m"} 3' in scraped(bridge)


def test_a_service_with_neither_pushes_nothing(bridges, receiver):
    bridge = bridges(port=0)
    assert bridge.flush()
    assert receiver.requests == 0
    assert scraped(bridge) == "# EOF\n"


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_both_ways_out_show_the_same_numbers_and_trace_ids(bridges, receiver, protocol):
    registry = CollectorRegistry()
    counter = Counter("jobs", "", ["a"], registry=registry)
    histogram = Histogram("t", "", registry=registry, buckets=(1,))
    endpoint = {"http": receiver.http_endpoint, "grpc": receiver.grpc_endpoint}[protocol]
    bridge = bridges(registry, endpoint=endpoint, protocol=protocol, port=0)
    orders = bridge.meter_provider.get_meter("m").create_counter("orders")
    with TRACER.start_as_current_span("s") as span:
        counter.labels("x").inc(2)
        histogram.observe(0.5)
        orders.add(5)
    assert bridge.flush()
    trace_id = span.get_span_context().trace_id.to_bytes(16, "big")
    sent = pushed(receiver)
    for name in ("jobs_total", "t", "orders"):
        assert only(only(sent[name]).exemplars).trace_id == trace_id
    text = scraped(bridge)
    assert text.count(f'trace_id="{trace_id.hex()}"') == 3
    seen = values(text)
    assert seen[("jobs_total", (("a", "x"),))] == only(sent["jobs_total"]).as_double
    assert seen[("orders_total", (("otel_scope_name", "m"),))] == only(sent["orders"]).as_int
    assert seen[("t_count", ())] == only(sent["t"]).count


def test_a_push_takes_no_exemplar_from_a_scrape_nor_a_scrape_from_a_push(bridges, receiver):
    bridge = bridges(port=0)
    orders = bridge.meter_provider.get_meter("m").create_counter("orders")
    with TRACER.start_as_current_span("s"):
        orders.add(1)
    assert "trace_id" in scraped(bridge)
    bridge.flush()
    assert "trace_id" in scraped(bridge)
    assert only(only(pushed(receiver)["orders"]).exemplars).trace_id


def test_the_resource_has_a_service_and_an_instance(bridges, receiver):
    registry = CollectorRegistry(target_info={"team": "core"})
    Gauge("level", "", registry=registry)
    bridges(registry, meter_provider=provider(resource=Resource({"service.name": "shop"}))).flush()
    attributes = attributes_of(only(receiver.resource_metrics).resource)
    assert (attributes["service.name"], attributes["team"]) == ("shop", "core")
    assert attributes["service.instance.id"]
    assert set(pushed(receiver)) == {"level"}


def test_a_target_family_of_a_collector_goes_to_the_resource_too(bridges, receiver):
    target = InfoMetricFamily("target", "", {"env": "test"})
    bridges(registry_of(target, CounterMetricFamily("jobs", "", 1))).flush()
    assert attributes_of(only(receiver.resource_metrics).resource)["env"] == "test"


def test_every_series_of_both_is_in_one_resource(bridges, receiver):
    registry = CollectorRegistry()
    Gauge("level", "", registry=registry)
    bridge = bridges(registry)
    bridge.meter_provider.get_meter("m").create_counter("jobs").add(1)
    bridge.flush()
    assert (
        len({attributes_of(r.resource)["service.instance.id"] for r in receiver.resource_metrics})
        == 1
    )


def test_the_global_provider_is_made_when_there_is_none():
    program = """
from opentelemetry import metrics
from bridge.metrics import MetricsBridge
bridge = MetricsBridge(push=False).start()
metrics.get_meter("m").create_counter("jobs").add(2)
print([m.name for m in bridge.reader.read().resource_metrics[0].scope_metrics[0].metrics])
assert metrics.get_meter_provider() is bridge.meter_provider
bridge.shutdown()
"""
    assert run(program) == "['jobs']\n"


def test_the_global_provider_is_used_when_there_is_one():
    program = """
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from bridge.metrics import MetricsBridge
provider = MeterProvider()
metrics.set_meter_provider(provider)
bridge = MetricsBridge(push=False).start()
assert bridge.meter_provider is provider
metrics.get_meter("m").create_counter("jobs").add(2)
print(len(bridge.reader.read().resource_metrics))
"""
    assert run(program) == "1\n"


def test_the_reader_may_be_given_to_the_provider_by_hand(receiver):
    bridge = MetricsBridge(
        registry=CollectorRegistry(), endpoint=receiver.http_endpoint, protocol="http"
    )
    made = provider(metric_readers=[bridge.reader])
    with bridge:
        made.get_meter("m").create_counter("jobs").add(1)
        assert bridge.flush()
    assert "jobs" in pushed(receiver)


def test_exit_pushes_what_is_left(receiver):
    program = f"""
from prometheus_client import Counter
from bridge.metrics import MetricsBridge
MetricsBridge(endpoint={receiver.http_endpoint!r}, protocol="http").start()
Counter("jobs", "").inc(7)
"""
    run(program)
    assert only(pushed(receiver)["jobs_total"]).as_double == 7


def test_a_provider_that_shuts_down_first_pushes_what_is_left(receiver):
    program = f"""
from opentelemetry.sdk.metrics import MeterProvider
from bridge.metrics import MetricsBridge
bridge = MetricsBridge(endpoint={receiver.http_endpoint!r}, protocol="http")
provider = MeterProvider(metric_readers=[bridge.reader])
bridge.start()
provider.get_meter("m").create_counter("jobs").add(7)
provider.shutdown()
print(bridge.problems())
"""
    assert run(program) == "{}\n"
    assert only(pushed(receiver)["jobs"]).as_int == 7


def run(program: str, **env: str) -> str:
    import os

    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "OTEL_EXPORTER_OTLP_TIMEOUT": "1", **env},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_settings_come_from_the_environment(receiver):
    program = """
from prometheus_client import Counter
from bridge.metrics import MetricsBridge
import time, urllib.request
bridge = MetricsBridge(host="127.0.0.1").start()
Counter("jobs", "").inc(7)
time.sleep(0.5)
print(urllib.request.urlopen(f"http://127.0.0.1:{bridge.port}/").status)
"""
    from tests.servers.process import free_port

    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_METRICS_EXPORTER": "otlp,prometheus",
        "OTEL_EXPORTER_PROMETHEUS_PORT": str(free_port()),
        "OTEL_METRIC_EXPORT_INTERVAL": "100",
        "OTEL_SERVICE_NAME": "shop",
    }
    assert run(program, **environ) == "200\n"
    assert receiver.requests >= 3
    resource = receiver.resource_metrics[0].resource
    assert attributes_of(resource)["service.name"] == "shop"


@pytest.mark.parametrize(
    "environ", [{"OTEL_METRICS_EXPORTER": "none"}, {"OTEL_SDK_DISABLED": "true"}]
)
def test_the_environment_can_turn_it_off(monkeypatch, environ):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    bridge = MetricsBridge(registry=CollectorRegistry(), meter_provider=provider())
    assert bridge._pusher is None
    assert bridge._address is None


def test_a_registry_with_the_other_direction_is_refused():
    made = type("_CustomCollector", (), {"collect": lambda self: []})
    made.__module__ = "opentelemetry.exporter.prometheus"
    registry = CollectorRegistry()
    registry.register(made())
    with pytest.raises(LoopError, match="sent twice"):
        MetricsBridge(registry=registry)


def test_settings_that_cannot_be_used_are_said_at_once():
    with pytest.raises(SettingsError, match="grpc or http/protobuf"):
        MetricsBridge(registry=CollectorRegistry(), protocol="carrier-pigeon")


def test_a_taken_port_is_said_and_leaves_nothing_running(bridges):
    first = bridges(push=False, port=0, host="127.0.0.1")
    second = MetricsBridge(
        registry=CollectorRegistry(), push=False, port=first.port, host="127.0.0.1"
    )
    before = threading.active_count()
    with pytest.raises(PortInUse):
        second.start()
    assert threading.active_count() == before
    assert second.shutdown()


def test_wsgi_and_asgi_apps_are_there_without_a_port(bridges):
    import asyncio

    registry = CollectorRegistry()
    Gauge("level", "", registry=registry).set(4)
    bridge = bridges(registry, push=False)
    assert bridge.port is None
    body = bridge.wsgi_app({"REQUEST_METHOD": "GET"}, lambda status, headers: None)
    assert b"level 4.0\n" in b"".join(body)
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(bridge.asgi_app({"type": "http"}, None, send))
    assert b"level 4.0\n" in sent[-1]["body"]


def test_name_filter(bridges):
    registry = CollectorRegistry()
    Gauge("a", "", registry=registry)
    Counter("b", "", registry=registry)
    bridge = bridges(registry, push=False)
    environ = {"REQUEST_METHOD": "GET", "QUERY_STRING": "name[]=b_total"}
    text = b"".join(bridge.wsgi_app(environ, lambda status, headers: None)).decode()
    assert "b_total 0.0" in text
    assert "\na 0.0" not in text


def test_an_opentelemetry_name_that_prometheus_client_has_taken_is_left_out(bridges):
    registry = CollectorRegistry()
    Counter("jobs", "", registry=registry).inc(3)
    bridge = bridges(registry, push=False, port=0)
    bridge.meter_provider.get_meter("m").create_gauge("jobs").set(9)
    assert values(scraped(bridge))[("jobs_total", ())] == 3
    assert bridge.problems() == {"metric conflict": 1}


def test_problems_are_metrics_themselves(bridges, receiver):
    def fail():
        raise RuntimeError

    registry = CollectorRegistry()
    Gauge("g", "", registry=registry).set_function(fail)
    bridge = bridges(registry, port=0)
    bridge.flush()
    point = only(pushed(receiver)["metrics_bridge_problems_total"])
    assert attributes_of(point) == {"kind": "collector failed"}
    assert 'metrics_bridge_problems_total{kind="collector failed"}' in scraped(bridge)


def test_a_blocked_collector_delays_a_scrape_only_so_long(bridges):
    registry = CollectorRegistry()
    Counter("jobs", "", registry=registry).inc()
    hang = threading.Event()
    Gauge("g", "", registry=registry).set_function(lambda: hang.wait(30) or 1)
    bridge = bridges(registry, push=False, port=0, collect_seconds=0.2)
    began = time.monotonic()
    assert "jobs_total 1.0" in scraped(bridge)
    assert time.monotonic() - began < 5
    hang.set()


def test_nothing_is_lost_or_doubled_under_load(bridges, receiver):
    """Threads record while scrapers scrape and pushes go out; at the end all numbers are exact."""
    registry = CollectorRegistry()
    jobs = Counter("jobs", "", ["a"], registry=registry)
    seconds = Histogram("t", "", registry=registry, buckets=(1, 2))
    bridge = bridges(registry, port=0, interval=0.02)
    meter = bridge.meter_provider.get_meter("m")
    orders, sizes = meter.create_counter("orders"), meter.create_histogram("sizes")
    per_thread, stop = 2000, threading.Event()

    def record() -> None:
        with TRACER.start_as_current_span("s"):
            for number in range(per_thread):
                jobs.labels(str(number % 3)).inc()
                seconds.observe(number % 4)
                orders.add(2, {"a": number % 3})
                sizes.record(number)

    def scrape() -> None:
        before: dict = {}
        while not stop.is_set():
            now = {k: v for k, v in values(scraped(bridge)).items() if k[0] != "t_created"}
            assert all(now[key] >= value for key, value in before.items() if key in now)
            before = now

    scrapers = [threading.Thread(target=scrape) for _ in range(2)]
    recorders = [threading.Thread(target=record) for _ in range(4)]
    for thread in [*scrapers, *recorders]:
        thread.start()
    for thread in recorders:
        thread.join()
    stop.set()
    for thread in scrapers:
        thread.join()
    receiver.clear()
    assert bridge.shutdown()
    sent = pushed(receiver)
    total = 4 * per_thread
    assert sum(point.as_double for point in sent["jobs_total"]) == total
    assert only(sent["t"]).count == total
    assert list(only(sent["t"]).bucket_counts) == [total // 2, total // 4, total // 4]
    assert sum(point.as_int for point in sent["orders"]) == 2 * total
    assert (only(sent["sizes"]).count, only(sent["sizes"]).sum) == (total, 4 * sum(range(2000)))
    assert bridge.problems() == {}


def test_the_api_is_not_touched_by_a_given_provider(bridges):
    before = api.get_meter_provider()
    bridges(push=False)
    assert api.get_meter_provider() is before
