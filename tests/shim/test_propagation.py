"""The propagators as a plain OpenTelemetry program uses them: no tracer of ours anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from opentelemetry import baggage, trace
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.jaeger import JaegerPropagator
from opentelemetry.propagators.textmap import DefaultGetter, TextMapPropagator
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shim.propagation import (
    B3MultiPropagator,
    B3SinglePropagator,
    UberTraceIdPropagator,
    debug_request,
    jaeger_flags,
    with_jaeger_flags,
)

UBER = UberTraceIdPropagator()
TRACE, SPAN = 0xABC << 64 | 0xDEF, 0x0123
EVERY = [UBER, B3MultiPropagator(), B3SinglePropagator()]


def remote(flags: int, *, state: TraceState | None = None) -> Context:
    context = SpanContext(TRACE, SPAN, True, TraceFlags(flags), state)
    return trace.set_span_in_context(NonRecordingSpan(context), Context())


def injected(context: Context, propagator: TextMapPropagator = UBER) -> dict[str, str]:
    carrier: dict[str, str] = {}
    propagator.inject(carrier, context)
    return carrier


def extracted(headers: dict[str, Any], propagator: TextMapPropagator = UBER) -> SpanContext:
    return trace.get_current_span(propagator.extract(headers, Context())).get_span_context()


def flags_sent(context: Context) -> str:
    return injected(context)["uber-trace-id"].rsplit(":", 1)[1]


@pytest.fixture
def tracer() -> Iterator[trace.Tracer]:
    provider = TracerProvider(shutdown_on_exit=False)
    yield provider.get_tracer("test")
    provider.shutdown()


# --- nothing to do


@pytest.mark.parametrize("propagator", EVERY)
def test_nothing_is_written_without_span_and_baggage(propagator: TextMapPropagator) -> None:
    assert injected(Context(), propagator) == {}


@pytest.mark.parametrize("propagator", EVERY)
def test_a_carrier_without_our_headers_leaves_the_context_as_it_was(
    propagator: TextMapPropagator,
) -> None:
    before = remote(1)
    assert propagator.extract({"accept": "*/*"}, before) is before


@pytest.mark.parametrize("propagator", EVERY)
@pytest.mark.parametrize("carrier", [None, 7, {7: 7}, {"uber-trace-id": None, "b3": None}])
def test_odd_carriers_raise_nothing(propagator: TextMapPropagator, carrier: object) -> None:
    assert propagator.extract(carrier, Context()) == Context()
    propagator.inject(None, remote(1))


@pytest.mark.parametrize("propagator", EVERY)
def test_a_getter_that_raises_costs_nothing_but_the_trace(propagator: TextMapPropagator) -> None:
    class Broken(DefaultGetter):
        def get(self, carrier: Any, key: str) -> list[str] | None:
            raise RuntimeError("broken getter")

    assert propagator.extract({"uber-trace-id": "1:2:0:1"}, Context(), Broken()) == Context()


# --- uber-trace-id


def test_the_current_span_is_written_with_its_parent(tracer: trace.Tracer) -> None:
    with tracer.start_as_current_span("parent") as parent:
        parent_id = parent.get_span_context().span_id
        span = tracer.start_span("child")
    ids = span.get_span_context()
    sent = injected(trace.set_span_in_context(span))["uber-trace-id"]
    assert sent == f"{ids.trace_id:032x}:{ids.span_id:016x}:{parent_id:016x}:1"


def test_unsampled_spans_are_written_as_such() -> None:
    span = TracerProvider(sampler=ALWAYS_OFF).get_tracer("test").start_span("dropped")
    assert flags_sent(trace.set_span_in_context(span)) == "0"


@pytest.mark.parametrize(("w3c", "jaeger"), [(0, "0"), (1, "1"), (2, "0"), (3, "1")])
def test_the_w3c_random_bit_is_never_sent_as_debug(w3c: int, jaeger: str) -> None:
    assert flags_sent(remote(w3c)) == jaeger


@pytest.mark.parametrize(("jaeger", "w3c"), [("0", 0), ("1", 1), ("2", 0), ("3", 1), ("9", 1)])
def test_jaegers_debug_bit_is_never_taken_for_the_random_bit(jaeger: str, w3c: int) -> None:
    assert extracted({"uber-trace-id": f"1:2:0:{jaeger}"}).trace_flags == w3c


def test_what_opentelemetrys_own_propagator_sends_reads_as_debug() -> None:
    headers = injected(remote(1), JaegerPropagator())
    assert headers["uber-trace-id"].endswith(":03")
    assert flags_sent(UBER.extract(headers, Context())) == "3"


@pytest.mark.parametrize("flags", ["1", "3", "5", "9"])
def test_debug_and_firehose_reach_the_next_service(tracer: trace.Tracer, flags: str) -> None:
    context = UBER.extract({"uber-trace-id": f"1:2:0:{flags}"}, Context())
    with tracer.start_as_current_span("server", context) as server:
        inner = trace.set_span_in_context(server, context)
        with tracer.start_as_current_span("client", inner) as client:
            assert flags_sent(trace.set_span_in_context(client, inner)) == flags


def test_debug_does_not_leak_into_another_trace(tracer: trace.Tracer) -> None:
    context = UBER.extract({"uber-trace-id": "1:2:0:3"}, Context())
    other = tracer.start_span("other", context=Context())
    assert flags_sent(trace.set_span_in_context(other, context)) == "1"


def test_debug_does_not_leak_into_w3c_headers(tracer: trace.Tracer) -> None:
    context = UBER.extract({"uber-trace-id": "1:2:0:b"}, Context())
    headers = injected(context, TraceContextTextMapPropagator())
    assert headers == {"traceparent": f"00-{1:032x}-{2:016x}-01"}


def test_an_unsampled_span_is_no_debug_span() -> None:
    context = with_jaeger_flags(remote(0), TRACE, 0x0B)
    assert jaeger_flags(context, trace.get_current_span(context).get_span_context()) == 8


def test_ids_without_leading_zeros_and_in_any_case_are_read() -> None:
    for header in ("abc:def:0:1", "ABC:DEF:0:1", "abc%3Adef%3A0%3A1", f"{0xABC:032x}:def:0:01"):
        got = extracted({"Uber-Trace-Id": header})
        assert (got.trace_id, got.span_id, got.is_remote) == (0xABC, 0xDEF, True)


@pytest.mark.parametrize("header", ["", "1:2:3", "0:1:0:1", "z:1:0:1", "1" * 33 + ":1:0:1"])
def test_a_broken_header_starts_a_new_trace_and_keeps_baggage(header: str) -> None:
    context = UBER.extract({"uber-trace-id": header, "uberctx-k": "v"}, Context())
    assert not trace.get_current_span(context).get_span_context().is_valid
    assert baggage.get_all(context) == {"k": "v"}


def test_lists_of_bytes_are_read() -> None:
    assert extracted({"uber-trace-id": [b"a:b:0:1"]}).trace_id == 0xA


def test_tracestate_survives_when_both_headers_name_the_same_span() -> None:
    both = CompositePropagator([TraceContextTextMapPropagator(), UBER])
    state = TraceState([("vendor", "x")])
    headers = injected(remote(3, state=state), both)
    assert set(headers) == {"traceparent", "tracestate", "uber-trace-id"}
    got = extracted(headers, both)
    assert (got.trace_id, got.span_id, got.trace_flags) == (TRACE, SPAN, 3)
    assert got.trace_state == state


def test_tracestate_of_another_span_is_not_inherited() -> None:
    before = remote(1, state=TraceState([("vendor", "x")]))
    context = UBER.extract({"uber-trace-id": "1:2:0:1"}, before)
    assert not trace.get_current_span(context).get_span_context().trace_state


def test_custom_header_names() -> None:
    custom = UberTraceIdPropagator(trace_id_header="X_Trace", baggage_header_prefix="X-Ctx-")
    context = baggage.set_baggage("k", "v", remote(1))
    headers = injected(context, custom)
    assert set(headers) == {"x-trace", "x-ctx-k"}
    assert custom.fields == {"x-trace"}
    assert extracted(headers, custom).trace_id == TRACE


def test_a_getter_that_lists_no_keys_still_finds_the_trace() -> None:
    class Keyless(DefaultGetter):
        def keys(self, carrier: Any) -> list[str]:
            return []

    context = UBER.extract({"uber-trace-id": "a:b:0:1"}, Context(), Keyless())
    assert trace.get_current_span(context).get_span_context().trace_id == 0xA


# --- baggage


def test_baggage_of_the_context_is_written_even_without_a_span() -> None:
    context = baggage.set_baggage("user", "ann bo/50%", Context())
    assert injected(context) == {"uberctx-user": "ann%20bo%2F50%25"}


def test_baggage_is_read_back_as_it_was_sent() -> None:
    values = {"a": " blanks at both ends ", "b": "50%", "c": "ü€😀", "d": "x=1;y,z", "e": ""}
    context = Context()
    for key, value in values.items():
        context = baggage.set_baggage(key, value, context)
    assert baggage.get_all(UBER.extract(injected(context), Context())) == values


def test_jaeger_baggage_header_is_read() -> None:
    context = UBER.extract({"Jaeger-Baggage": "k1=v1, k2=v2"}, Context())
    assert baggage.get_all(context) == {"k1": "v1", "k2": "v2"}


def test_baggage_of_a_legacy_span_is_written_too() -> None:
    class LegacyContext:
        flags = 3
        baggage: ClassVar = {"of": "span"}

    class LegacySpan(NonRecordingSpan):
        context = LegacyContext()

    span = LegacySpan(SpanContext(TRACE, SPAN, False, TraceFlags(1)))
    context = trace.set_span_in_context(span, baggage.set_baggage("in", "context", Context()))
    headers = injected(context)
    assert headers["uberctx-of"] == "span"
    assert headers["uberctx-in"] == "context"
    assert headers["uber-trace-id"].endswith(":3")


def test_a_setter_that_raises_costs_nothing_but_the_header() -> None:
    UBER.inject(object(), remote(1))


# --- debug id


def test_a_debug_id_without_a_trace_asks_for_a_debug_root() -> None:
    request = debug_request(UBER.extract({"jaeger-debug-id": "ticket%207"}, Context()))
    assert request is not None
    assert request.debug_id == "ticket 7"


def test_a_debug_id_beside_a_trace_is_ignored() -> None:
    headers = {"uber-trace-id": "1:2:0:0", "jaeger-debug-id": "ticket"}
    assert debug_request(UBER.extract(headers, Context())) is None


def test_a_granted_debug_root_is_sent_as_debug(tracer: trace.Tracer) -> None:
    context = UBER.extract({"jaeger-debug-id": "ticket"}, Context())
    span = tracer.start_span("root", context)
    inner = trace.set_span_in_context(span, context)
    assert flags_sent(inner) == "1"
    request = debug_request(context)
    assert request is not None
    request.grant(span.get_span_context().trace_id)
    assert flags_sent(inner) == "3"


# --- B3


def test_b3_headers_of_a_sampled_span() -> None:
    assert injected(remote(1), B3MultiPropagator()) == {
        "x-b3-traceid": f"{TRACE:032x}",
        "x-b3-spanid": f"{SPAN:016x}",
        "x-b3-sampled": "1",
    }
    assert injected(remote(0), B3SinglePropagator()) == {"b3": f"{TRACE:032x}-{SPAN:016x}-0"}


@pytest.mark.parametrize("propagator", EVERY[1:])
def test_b3_reads_unpadded_ids_in_either_form(propagator: TextMapPropagator) -> None:
    multi = {"X-B3-TraceId": "abc", "X-B3-SpanId": "def", "X-B3-Sampled": "1"}
    for headers in (multi, {"B3": "abc-def-1"}):
        got = extracted(headers, propagator)
        assert (got.trace_id, got.span_id, got.trace_flags) == (0xABC, 0xDEF, 1)


@pytest.mark.parametrize("propagator", EVERY[1:])
def test_b3_debug_reaches_the_next_service(propagator: TextMapPropagator) -> None:
    context = propagator.extract({"x-b3-traceid": "a", "x-b3-spanid": "b", "x-b3-flags": "1"})
    assert flags_sent(context) == "3"
    assert flags_sent(propagator.extract(injected(context, propagator))) == "3"


@pytest.mark.parametrize("headers", [{"b3": "0"}, {"b3": "x-y-z"}, {"x-b3-traceid": "a"}])
def test_b3_noise_leaves_the_context_as_it_was(headers: dict[str, str]) -> None:
    assert B3MultiPropagator().extract(headers, Context()) == Context()


# --- entry points


def test_the_environment_names_them() -> None:
    script = (
        "from opentelemetry import propagate as p;"
        "print(sorted(p.get_global_textmap().fields)); import sys;"
        "print('opentracing' in sys.modules)"
    )
    env = {**os.environ, "OTEL_PROPAGATORS": "tracecontext,uber_trace_id,jaeger_b3"}
    run = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines() == [
        "['b3', 'traceparent', 'tracestate', 'uber-trace-id']",
        "False",
    ]
