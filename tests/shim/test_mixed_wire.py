"""Legacy and native spans in one process: what each of them sends on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.trace import TracerProvider
from opentracing import Format

from shim.jaeger_client import Config, Tracer
from shim.propagation import UberTraceIdPropagator

UBER = UberTraceIdPropagator()


@pytest.fixture
def legacy() -> Iterator[Tracer]:
    tracer = Config({"sampler": {"type": "const", "param": 1}}, service_name="mixed").new_tracer()
    yield tracer
    tracer.close()


@pytest.fixture
def native() -> trace.Tracer:
    return TracerProvider(shutdown_on_exit=False).get_tracer("native")


def sent_by_native() -> dict[str, str]:
    carrier: dict[str, str] = {}
    UBER.inject(carrier)
    return carrier


def sent_by_legacy(tracer: Tracer) -> dict[str, str]:
    carrier: dict[str, str] = {}
    tracer.inject(tracer.active_span, Format.TEXT_MAP, carrier)
    return carrier


def parts(headers: dict[str, str]) -> list[int]:
    return [int(part, 16) for part in headers["uber-trace-id"].split(":")]


def test_a_legacy_span_goes_out_the_same_either_way(legacy: Tracer) -> None:
    with legacy.start_active_span("outer"), legacy.start_active_span("inner") as scope:
        scope.span.set_baggage_item("user", "ann")
        ids = [scope.span.trace_id, scope.span.span_id, scope.span.parent_id, 1]
        assert parts(sent_by_native()) == parts(sent_by_legacy(legacy)) == ids
        assert sent_by_native()["uberctx-user"] == "ann"


@pytest.mark.parametrize("activate_first", [True, False])
def test_a_native_span_carries_the_debug_flag_of_the_legacy_span_around_it(
    legacy: Tracer, native: trace.Tracer, activate_first: bool
) -> None:
    span = legacy.start_span("forced")
    if not activate_first:
        span.set_tag("sampling.priority", 1)
    with legacy.scope_manager.activate(span, True):
        if activate_first:
            span.set_tag("sampling.priority", 1)
        with native.start_as_current_span("native"):
            assert parts(sent_by_native())[2:] == [span.span_id, 3]
            with legacy.start_active_span("inner"):
                assert parts(sent_by_legacy(legacy))[3] == 3


def test_a_native_span_carries_the_baggage_of_the_legacy_span_around_it(
    legacy: Tracer, native: trace.Tracer
) -> None:
    span = legacy.start_span("outer").set_baggage_item("user", "ann bo")
    with legacy.scope_manager.activate(span, True), native.start_as_current_span("native"):
        assert sent_by_native()["uberctx-user"] == "ann%20bo"


@pytest.mark.parametrize("flags", [1, 3, 9])
def test_a_legacy_span_carries_what_a_native_server_was_sent(
    legacy: Tracer, native: trace.Tracer, flags: int
) -> None:
    headers = {"uber-trace-id": f"abc:def:0:{flags}", "uberctx-user": "ann"}
    token = attach(UBER.extract(headers, Context()))
    with native.start_as_current_span("server"), legacy.start_active_span("work") as scope:
        assert parts(sent_by_legacy(legacy))[3] == flags
        assert scope.span.trace_id == 0xABC
        assert scope.span.get_baggage_item("user") == "ann"
    detach(token)


def test_debug_does_not_reach_another_trace(legacy: Tracer, native: trace.Tracer) -> None:
    with legacy.start_active_span("forced") as scope:
        scope.span.set_tag("sampling.priority", 1)
        other = native.start_span("other", context=Context())
        with trace.use_span(other, end_on_exit=True):
            assert parts(sent_by_native())[3] == 1
