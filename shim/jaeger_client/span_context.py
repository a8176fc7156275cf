"""Jaeger's span context: ids, flags and baggage."""

from __future__ import annotations

from typing import Any

import opentracing
from opentelemetry.trace import SpanContext as OtelSpanContext
from opentelemetry.trace import TraceFlags
from opentelemetry.trace.span import TraceState

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_NOT_SAMPLED = TraceFlags(TraceFlags.DEFAULT)


class SpanContext(opentracing.SpanContext):  # type: ignore[misc]
    """Ids are ints of 64 bits (trace ids up to 128), `flags` Jaeger's. Baggage never changes in
    place: `Span.set_baggage_item` gives its span a new context.

    `is_remote` and `trace_state` are ours: an extracted context, and its W3C tracestate.
    """

    # Defaults of the class: most contexts never set them, and creating one is a hot path.
    is_remote = False
    trace_state: TraceState | None = None

    def __init__(
        self,
        trace_id: int | None,
        span_id: int | None,
        parent_id: int | None,
        flags: int | None,
        baggage: dict[str, str] | None = None,
        debug_id: str | None = None,
    ) -> None:
        self.trace_id: Any = trace_id
        self.span_id: Any = span_id
        self.parent_id = parent_id or None
        self.flags: Any = flags
        self._baggage = baggage
        self._debug_id = debug_id

    @property
    def baggage(self) -> dict[str, str]:
        return self._baggage or opentracing.SpanContext.EMPTY_BAGGAGE

    def with_baggage_item(self, key: str, value: str | None) -> SpanContext:
        """A copy with the item set, or removed when `value` is None."""
        baggage = dict(self._baggage or {})
        if value is None:
            baggage.pop(key, None)
        else:
            baggage[key] = value
        changed = SpanContext(self.trace_id, self.span_id, self.parent_id, self.flags, baggage)
        if self.trace_state:
            changed.trace_state = self.trace_state
        return changed

    @property
    def has_trace(self) -> bool:
        return bool(self.trace_id and self.span_id and self.flags is not None)

    @property
    def is_debug_id_container_only(self) -> bool:
        """Deprecated in jaeger_client."""
        return not self.trace_id and self._debug_id is not None

    @property
    def debug_id(self) -> str | None:
        return self._debug_id

    @staticmethod
    def with_debug_id(debug_id: str) -> SpanContext:
        """Deprecated in jaeger_client."""
        return SpanContext(None, None, None, None, debug_id=debug_id)

    def to_otel(self) -> OtelSpanContext:
        """The same place in the trace for OpenTelemetry. Jaeger's flags beyond sampled stay here:
        its debug bit is W3C's random bit."""
        return OtelSpanContext(
            self.trace_id,
            self.span_id,
            self.is_remote,
            _SAMPLED if self.flags & 1 else _NOT_SAMPLED,
            self.trace_state,
        )

    @classmethod
    def from_otel(cls, native: OtelSpanContext, baggage: dict[str, str] | None) -> SpanContext:
        """A native span's context as a parent for legacy spans."""
        context = cls(native.trace_id, native.span_id, None, native.trace_flags & 1, baggage)
        context.is_remote = native.is_remote
        context.trace_state = native.trace_state or None
        return context
