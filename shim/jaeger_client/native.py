"""A native OpenTelemetry span under the legacy API, for legacy code that finds it active."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

from opentelemetry import baggage as otel_baggage
from opentelemetry import trace

from shim.propagation import jaeger_flags
from shim.values import fields, nanoseconds, scalar, seconds, text

from .constants import MAX_TAG_VALUE_LENGTH, MAX_TRACEBACK_LENGTH
from .span import Span
from .span_context import SpanContext

_faces: weakref.WeakKeyDictionary[trace.Span, NativeSpan] = weakref.WeakKeyDictionary()


class NativeSpan(Span):
    """Writes go to the native span at once; who made it finishes and reports it."""

    __slots__ = ("_native",)

    def __init__(self, native: trace.Span) -> None:
        carried = {key: text(value) for key, value in otel_baggage.get_all().items()}
        parent = getattr(native, "parent", None)
        context = SpanContext.from_otel(native.get_span_context(), carried or None)
        context.flags = jaeger_flags(None, native.get_span_context())
        context.parent_id = getattr(parent, "span_id", None)
        super().__init__(context, _NO_TRACER, getattr(native, "name", ""))
        self._native = weakref.ref(native)

    @classmethod
    def of(cls, native: trace.Span) -> NativeSpan:
        """The face of `native`; the same one each time."""
        face = _faces.get(native)
        if face is None:
            face = _faces[native] = cls(native)
        return face

    @property
    def native(self) -> trace.Span:
        return self._native() or trace.INVALID_SPAN

    def set_operation_name(self, operation_name: str) -> NativeSpan:
        self.operation_name = text(operation_name)
        self.native.update_name(self.operation_name)
        return self

    def set_tag(self, key: str, value: Any) -> NativeSpan:
        """`error: true` becomes the status; the kind of a started native span is fixed."""
        if key == "error" and value is True:
            self.native.set_status(trace.Status(trace.StatusCode.ERROR))
        else:
            clean = scalar(value, MAX_TAG_VALUE_LENGTH, MAX_TRACEBACK_LENGTH)
            self.native.set_attribute(text(key), clean)
        return self

    def log_kv(self, key_values: Mapping[str, Any], timestamp: float | None = None) -> NativeSpan:
        entry = fields(key_values, MAX_TAG_VALUE_LENGTH, MAX_TRACEBACK_LENGTH)
        event = entry.get("event")
        name = "log"
        if isinstance(event, str):
            name = event
            del entry["event"]
        moment = None if timestamp is None else nanoseconds(seconds(timestamp))
        self.native.add_event(name, entry, moment)
        return self

    def finish(self, finish_time: float | None = None) -> None:
        self.native.end(None if finish_time is None else nanoseconds(seconds(finish_time)))

    def get_span_context(self) -> trace.SpanContext:
        return self.native.get_span_context()

    def is_recording(self) -> bool:
        return self.native.is_recording()


class _NoTracer:
    """Stands where a legacy span has its tracer."""

    service_name = ""
    max_tag_value_length = MAX_TAG_VALUE_LENGTH
    max_traceback_length = MAX_TRACEBACK_LENGTH


_NO_TRACER: Any = _NoTracer()
