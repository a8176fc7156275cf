"""The shim and a real Jaeger v2: spans arrive as Jaeger showed them, its sampling drives ours."""

from __future__ import annotations

import json

import pytest

from shim.jaeger_client import Config, ConstSampler
from tests.servers.jaeger import AdaptiveJaeger, Jaeger
from tests.servers.process import wait_until

STRATEGIES = {
    "default_strategy": {"type": "probabilistic", "param": 1},
    "service_strategies": [
        {"service": "limited", "type": "ratelimiting", "param": 7},
        {
            "service": "mixed",
            "type": "probabilistic",
            "param": 0.5,
            "operation_strategies": [{"operation": "hot", "type": "probabilistic", "param": 0}],
        },
    ],
}


@pytest.fixture(scope="module")
def jaeger(tmp_path_factory):
    strategies = tmp_path_factory.mktemp("jaeger") / "strategies.json"
    strategies.write_text(json.dumps(STRATEGIES))
    with Jaeger(strategies) as server:
        yield server


def config(jaeger, service, **settings):
    agent = {"reporting_host": "127.0.0.1", "sampling_port": jaeger.ports["SAMPLING"]}
    return Config({"local_agent": agent, **settings}, service_name=service)


@pytest.mark.parametrize(
    ("protocol", "port"), [("grpc", "OTLP_GRPC"), ("http/protobuf", "OTLP_HTTP")]
)
def test_spans_arrive(jaeger, monkeypatch, protocol, port):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{jaeger.ports[port]}")
    service = f"shop-{port.lower()}"
    tracer = config(jaeger, service, sampler={"type": "const", "param": 1}).new_tracer()
    with tracer.start_active_span("order", tags={"span.kind": "server"}) as scope:
        scope.span.log_kv({"event": "checked"}).set_baggage_item("user", "u1")
        with tracer.start_active_span("pay", tags={"http.status_code": 503}):
            pass
    assert tracer.close().result(20)
    spans = {span["operationName"]: span for span in jaeger.wait_for_spans(service, 2)}
    order, pay = spans["order"], spans["pay"]
    assert int(order["spanID"], 16) == scope.span.span_id
    assert int(order["traceID"], 16) == scope.span.trace_id
    assert pay["references"][0]["spanID"] == order["spanID"]
    tags = {tag["key"]: tag["value"] for tag in order["tags"]}
    assert tags["span.kind"] == "server"
    assert (tags["sampler.type"], tags["sampler.param"]) == ("const", True)
    assert not any(key.startswith("otel.scope") for key in tags)
    assert {tag["key"]: tag["value"] for tag in pay["tags"]}["error"] is True
    events = [{f["key"]: f["value"] for f in log["fields"]}["event"] for log in order["logs"]]
    assert events == ["checked", "baggage"]


@pytest.mark.parametrize(
    ("service", "sampler"),
    [
        ("any", "ProbabilisticSampler(1)"),
        ("limited", "RateLimitingSampler(7)"),
        ("mixed", "AdaptiveSampler(0.500000, 0.000000, 2000)"),
    ],
)
def test_a_config_without_a_sampler_takes_what_jaeger_says(jaeger, service, sampler):
    tracer = config(jaeger, service, sampling_refresh_interval=0.2).new_tracer()
    wait_until(lambda: str(tracer.sampler.sampler) == sampler, 10, f"{service} is sampled so")
    tracer.close()


def test_a_sampler_that_is_named_is_not_asked(jaeger):
    tracer = config(jaeger, "any", sampler={"type": "const", "param": 0}).new_tracer()
    assert tracer.sampler == ConstSampler(False)


def test_adaptive_sampling_counts_the_roots_of_a_legacy_service(monkeypatch):
    with AdaptiveJaeger() as jaeger:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", jaeger.otlp_http_endpoint)
        tracer = config(jaeger, "adaptive", sampling_refresh_interval=0.2).new_tracer()
        wait_until(lambda: str(tracer.sampler.sampler).startswith("AdaptiveSampler(1.0"), 10)
        with tracer.start_active_span("root"), tracer.start_active_span("child"):
            pass
        assert tracer.close().result(20)
        wait_until(lambda: jaeger.counted_operations > 0, 10, "the root is counted")
        jaeger.wait_for_rounds(2)
        assert jaeger.counted_operations == 1  # the child is none
