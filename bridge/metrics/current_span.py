"""The ids of the span that is active right now, whoever made it.

OpenTelemetry's current span first (the shim's spans are that too), then the active span of the
global OpenTracing tracer: a jaeger_client span in a service that is half way over.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from opentelemetry.trace import INVALID_SPAN, get_current_span


class SpanIds(NamedTuple):
    trace_id: int
    span_id: int
    sampled: bool


def current_span() -> SpanIds | None:
    """The active span's ids, or None."""
    span = get_current_span()
    if span is not INVALID_SPAN:
        context = span.get_span_context()
        if context.is_valid:
            return SpanIds(context.trace_id, context.span_id, context.trace_flags.sampled)
    opentracing = sys.modules.get("opentracing")
    return _legacy_span(opentracing) if opentracing is not None else None


def _legacy_span(opentracing: Any) -> SpanIds | None:
    """The active span of the global tracer, where it has ids as jaeger_client's has."""
    try:
        span = opentracing.global_tracer().active_span
        context = span.context if span is not None else None
        trace_id, span_id = getattr(context, "trace_id", None), getattr(context, "span_id", None)
        if not isinstance(trace_id, int) or not isinstance(span_id, int) or not trace_id:
            return None
        return SpanIds(trace_id, span_id, bool(getattr(context, "flags", 0) & 1))
    except Exception:  # noqa: BLE001 - any tracer may be installed, and none may break a counter
        return None
