"""W3C headers (`traceparent`, `baggage`) beside the legacy ones, for fleets in transition."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from opentelemetry import baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shim.codecs import TextFormat
from shim.jaeger_client.span_context import SpanContext

_TRACEPARENT = "traceparent"
_TRACESTATE = "tracestate"
_BAGGAGE = "baggage"
# What W3C asks every service to pass on.
_MAX_BAGGAGE_ITEMS = 180
_MAX_BAGGAGE_BYTES = 8192
_propagator = TraceContextTextMapPropagator()
_baggage_propagator = W3CBaggagePropagator()
_baggage_items = TextFormat(baggage_header_prefix="")


def w3c_wanted(propagator: str = "tracecontext") -> bool:
    """Unless OTEL_PROPAGATORS names others and not this one."""
    chosen = os.environ.get("OTEL_PROPAGATORS", "").strip()
    return not chosen or propagator in (name.strip() for name in chosen.split(","))


def write_traceparent(context: SpanContext, carrier: Any) -> None:
    """`traceparent` and, where there is any, `baggage`.

    Of the flags only sampled is written: Jaeger's others mean something else in W3C.
    """
    trace_id = context.trace_id.to_bytes(16, "big").hex()
    span_id = context.span_id.to_bytes(8, "big").hex()
    flags = "01" if context.flags & 1 else "00"
    carrier[_TRACEPARENT] = f"00-{trace_id}-{span_id}-{flags}"
    if context.trace_state:
        carrier[_TRACESTATE] = context.trace_state.to_header()
    if context._baggage and w3c_wanted(_BAGGAGE):
        carrier[_BAGGAGE] = _baggage_header(context.baggage)


def read_traceparent(carrier: Any, legacy: SpanContext | None) -> SpanContext | None:
    """What the W3C headers add to `legacy`: the trace if that has none, else its tracestate, and
    the baggage items that it has not."""
    if legacy is not None and legacy.trace_id:
        if type(carrier) is not dict and not hasattr(carrier, "__contains__"):
            return legacy
        if _TRACESTATE in carrier:
            native = _extract(carrier)
            if native is not None and native.trace_id == legacy.trace_id:
                legacy.trace_state = native.trace_state
        if _BAGGAGE in carrier or "Baggage" in carrier:
            legacy._baggage = _with_w3c_baggage(carrier, legacy.baggage)
        return legacy
    native = _extract(carrier)
    if native is None:
        return legacy
    items = _with_w3c_baggage(carrier, legacy.baggage if legacy is not None else {})
    return SpanContext.from_otel(native, items or None)


def _baggage_header(items: Mapping[str, Any]) -> str:
    pairs: list[str] = []
    room = _MAX_BAGGAGE_BYTES
    for key, value in _baggage_items.baggage_headers(items)[:_MAX_BAGGAGE_ITEMS]:
        pair = f"{key}={value}"
        if len(pair) < room:
            pairs.append(pair)
            room -= len(pair) + 1
    return ",".join(pairs)


def _with_w3c_baggage(carrier: Any, legacy: Mapping[str, str]) -> dict[str, str]:
    if not w3c_wanted(_BAGGAGE):
        return dict(legacy)
    values = [
        value
        for key, value in carrier.items()
        if isinstance(key, str) and key.lower() == _BAGGAGE and isinstance(value, str)
    ]
    native = baggage.get_all(_baggage_propagator.extract({_BAGGAGE: values}, Context()))
    # legacy headers have lost the case of their keys
    new = {key: str(value) for key, value in native.items() if key.lower() not in legacy}
    return {**new, **legacy}


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
