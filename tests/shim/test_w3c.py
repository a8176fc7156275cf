"""W3C headers beside the legacy ones, on the shim's tracer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentracing import Format

from shim.jaeger_client import Config, Tracer

LEGACY = {"uber-trace-id": "abc:def:0:1"}
TRACEPARENT = {"traceparent": f"00-{0xABC:032x}-{0x123:016x}-01"}


@pytest.fixture
def tracer() -> Iterator[Tracer]:
    config = Config({"sampler": {"type": "const", "param": 1}}, service_name="w3c")
    tracer = config.new_tracer()
    yield tracer
    tracer.close()


def sent(tracer: Tracer, baggage: dict[str, str]) -> dict[str, str]:
    span = tracer.start_span("op")
    for key, value in baggage.items():
        span.set_baggage_item(key, value)
    carrier: dict[str, str] = {}
    tracer.inject(span, Format.HTTP_HEADERS, carrier)
    return carrier


def received(tracer: Tracer, headers: dict[str, Any]) -> Any:
    return tracer.extract(Format.HTTP_HEADERS, headers)


def test_without_baggage_no_baggage_header_is_written(tracer: Tracer) -> None:
    assert set(sent(tracer, {})) == {"uber-trace-id", "traceparent"}


def test_baggage_is_written_both_ways(tracer: Tracer) -> None:
    headers = sent(tracer, {"user": "ann bo", "path": "a,b;c=d%"})
    assert headers["baggage"] == "user=ann%20bo,path=a%2Cb%3Bc%3Dd%25"
    assert headers["uberctx-user"] == "ann%20bo"
    assert received(tracer, headers).baggage == {"user": "ann bo", "path": "a,b;c=d%"}


def test_baggage_comes_from_w3c_services(tracer: Tracer) -> None:
    context = received(tracer, {**TRACEPARENT, "Baggage": "user=ann%20bo,n=7"})
    assert (context.trace_id, context.span_id) == (0xABC, 0x123)
    assert context.baggage == {"user": "ann bo", "n": "7"}


def test_legacy_baggage_wins_over_w3c_whatever_the_case_of_its_key(tracer: Tracer) -> None:
    headers = {**LEGACY, "uberctx-user": "ann", "baggage": "User=bob,other=x"}
    assert received(tracer, headers).baggage == {"user": "ann", "other": "x"}


def test_w3c_baggage_alone_is_no_context(tracer: Tracer) -> None:
    assert received(tracer, {"baggage": "user=ann"}) is None


@pytest.mark.parametrize("value", ["", "=", "a", ",,,", "%", "a=%zz", "x" * 100_000, 7])
def test_broken_baggage_costs_nothing_but_itself(tracer: Tracer, value: object) -> None:
    context = received(tracer, {**LEGACY, "baggage": value})
    assert context.trace_id == 0xABC


def test_large_baggage_is_cut_for_w3c_and_kept_for_legacy(tracer: Tracer) -> None:
    headers = sent(tracer, {f"k{n}": "v" * 1000 for n in range(20)})
    assert len(headers["baggage"]) <= 8192
    assert sum(name.startswith("uberctx-") for name in headers) == 20


def test_propagators_named_by_environment_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_PROPAGATORS", "uber_trace_id,tracecontext")
    tracer = Config({"sampler": {"type": "const", "param": 1}}, service_name="w3c").new_tracer()
    assert "baggage" not in sent(tracer, {"user": "ann"})
    assert received(tracer, {**TRACEPARENT, "baggage": "user=ann"}).baggage == {}
    tracer.close()
