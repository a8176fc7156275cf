"""`traceparent` beside the legacy headers, for fleets in transition."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shim.jaeger_client.span_context import SpanContext

_TRACEPARENT = "traceparent"
_TRACESTATE = "tracestate"
_propagator = TraceContextTextMapPropagator()


def w3c_wanted() -> bool:
    """Unless OTEL_PROPAGATORS names others and not `tracecontext`."""
    chosen = os.environ.get("OTEL_PROPAGATORS", "").strip()
    return not chosen or "tracecontext" in (name.strip() for name in chosen.split(","))


def write_traceparent(context: SpanContext, carrier: Any) -> None:
    """Of the flags only sampled is written: Jaeger's others mean something else in W3C."""
    trace_id = context.trace_id.to_bytes(16, "big").hex()
    span_id = context.span_id.to_bytes(8, "big").hex()
    carrier[_TRACEPARENT] = f"00-{trace_id}-{span_id}-0{context.flags & 1}"
    if context.trace_state:
        carrier[_TRACESTATE] = context.trace_state.to_header()


def read_traceparent(carrier: Any, legacy: SpanContext | None) -> SpanContext | None:
    """What the W3C headers add to `legacy`: the trace if that has none, else its tracestate."""
    if legacy is not None and legacy.has_trace:
        if _TRACESTATE in carrier:
            native = _extract(carrier)
            if native is not None and native.trace_id == legacy.trace_id:
                legacy.trace_state = native.trace_state
        return legacy
    native = _extract(carrier)
    if native is None:
        return legacy
    return SpanContext.from_otel(native, dict(legacy.baggage) if legacy is not None else None)


def _extract(carrier: Any) -> Any:
    if not isinstance(carrier, Mapping) and not hasattr(carrier, "items"):
        return None
    headers: dict[str, list[str]] = {}
    for key, value in carrier.items():
        name = key.lower() if isinstance(key, str) else ""
        if name in (_TRACEPARENT, _TRACESTATE) and isinstance(value, str):
            headers[name] = [value]
    if _TRACEPARENT not in headers:
        return None
    context = get_current_span(_propagator.extract(headers, Context())).get_span_context()
    return context if context.is_valid else None
