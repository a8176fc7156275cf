"""A span with two faces: the legacy one, and OpenTelemetry's for native code that finds it."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import opentracing
from opentelemetry import baggage as otel_baggage
from opentelemetry import trace
from opentelemetry.trace.propagation import _SPAN_KEY

from shim.codecs import DEBUG, SAMPLED
from shim.scope import attach, get_current, know, leave
from shim.values import any_value, fields, nanoseconds, scalar, seconds, text

from .span_context import SpanContext

if TYPE_CHECKING:
    from .tracer import Tracer

logger = logging.getLogger("jaeger_tracing")

# jaeger-client had no limit, but its UDP datagram had: no span with more ever arrived. Without
# any limit a log in an endless loop would eat the memory.
MAX_TAGS = 4096
MAX_LOGS = 4096


class LogRecord(NamedTuple):
    """One log, or one event added by native code (only those have a `name` apart)."""

    name: str | None
    timestamp: float
    fields: dict[str, Any]


class Span(opentracing.Span, trace.Span):  # type: ignore[misc]
    """What jaeger_client's Span was; also an OpenTelemetry span, so that native code can use it
    as the current one. Nothing it is given raises, nothing changes it after `finish`."""

    __slots__ = ("context", "tracer")  # plain attributes where OpenTracing has properties

    def __init__(
        self,
        context: SpanContext,
        tracer: Tracer,
        operation_name: str,
        tags: Mapping[str, Any] | None = None,
        start_time: float | None = None,
        references: list[Any] | None = None,
    ) -> None:
        self.context = context
        self.tracer = tracer
        self.operation_name = operation_name
        self.start_time = time.time() if start_time is None else seconds(start_time)
        if references:
            self.references = references
        self._open = True
        self._attributes: dict[str, Any] = {}
        self._logs: list[LogRecord] = []
        if tags:
            for key, value in tags.items():
                self.set_tag(key, value)

    # Defaults of the class: most spans never set them, or only when they finish.
    end_time: float | None = None
    references: list[Any] | None = None
    _lock: threading.Lock
    _links: list[trace.Link] | None = None
    _status: trace.Status | None = None
    _parent_is_remote = False
    _dropped_tags = 0
    _dropped_logs = 0

    # The legacy face

    def set_operation_name(self, operation_name: str) -> Span:
        if self.end_time is None:
            self.operation_name = operation_name
        return self

    def set_tag(self, key: str, value: Any) -> Span:
        """Records a tag, under the value's type or as text. `sampling.priority` above 0 makes
        this a debug trace, 0 takes it out."""
        if not self.context.flags & SAMPLED and type(key) is str and key != "sampling.priority":
            return self  # what follows says the same, slower
        if type(key) is not str or not key.isascii():
            key = text(key)
        if key == "sampling.priority" and not self._set_sampling_priority(value):
            return self
        if self.context.flags & SAMPLED and self.end_time is None:
            kind = type(value)
            tracer = self.tracer
            if kind is str:  # the usual case of `scalar`
                if len(value) > tracer.max_tag_value_length or not value.isascii():
                    value = text(value, tracer.max_tag_value_length)
            elif kind is not bool:
                value = scalar(value, tracer.max_tag_value_length, tracer.max_traceback_length)
            attributes = self._attributes
            if len(attributes) < MAX_TAGS or key in attributes:
                attributes[key] = value
            else:
                self._dropped_tags += 1
        return self

    def log_kv(self, key_values: Mapping[str, Any], timestamp: float | None = None) -> Span:
        if self.context.flags & SAMPLED and self.end_time is None:
            tracer = self.tracer
            self._add_log(
                LogRecord(
                    None,
                    time.time() if timestamp is None else seconds(timestamp),
                    fields(key_values, tracer.max_tag_value_length, tracer.max_traceback_length),
                )
            )
        return self

    def finish(self, finish_time: float | None = None) -> None:
        """Reports the span, once; what is not sampled is not reported."""
        if not self.context.flags & SAMPLED:
            return
        try:
            del self._open  # atomic: of two threads only one gets on
        except AttributeError:
            logger.warning("Span has already been finished; will not be reported again.")
            return
        self.end_time = time.time() if finish_time is None else seconds(finish_time)
        self.tracer.report_span(self)

    def set_baggage_item(self, key: str, value: str | None) -> Span:
        """Sets, or with None removes, an item that children and callees see; logs it as an event
        `baggage`."""
        overridden = self.context.baggage.get(key)
        self.context = self.context.with_baggage_item(key, value)
        if self.context.flags & SAMPLED:
            entry = {"event": "baggage", "key": key, "value": value}
            if overridden:
                entry["override"] = "true"
            self.log_kv(entry)
        self._baggage_to_current(key, value)
        return self

    def get_baggage_item(self, key: str) -> str | None:
        return self.context.baggage.get(key)

    def __enter__(self) -> Span:
        return self

    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        leave(self, exc_type, exc_val, exc_tb)
        self.finish()

    @property
    def finished(self) -> bool:
        return self.end_time is not None

    def is_sampled(self) -> bool:
        return bool(self.context.flags & SAMPLED)

    def is_debug(self) -> bool:
        return bool(self.context.flags & DEBUG)

    def is_rpc(self) -> bool:
        return self._attributes.get("span.kind") in ("client", "server")

    def is_rpc_client(self) -> bool:
        return self._attributes.get("span.kind") == "client"

    @property
    def trace_id(self) -> int:
        return self.context.trace_id  # type: ignore[no-any-return]

    @property
    def span_id(self) -> int:
        return self.context.span_id  # type: ignore[no-any-return]

    @property
    def parent_id(self) -> int | None:
        return self.context.parent_id

    @property
    def flags(self) -> int:
        return self.context.flags  # type: ignore[no-any-return]

    @property
    def update_lock(self) -> threading.Lock:
        """Jaeger's lock for the application's own use; the shim does not need it."""
        if not hasattr(self, "_lock"):
            self._lock = threading.Lock()
        return self._lock

    @property
    def tags(self) -> list[Any]:
        """The tags as thrift `Tag` objects, as jaeger_client kept them."""
        from .thrift import tag_of

        return [tag_of(key, value) for key, value in self._attributes.copy().items()]

    @tags.setter
    def tags(self, tags: list[Any]) -> None:
        from .thrift import value_of

        self._attributes = {tag.key: value_of(tag) for tag in tags}

    @property
    def logs(self) -> list[Any]:
        """The logs as thrift `Log` objects, times in microseconds."""
        from .thrift import log_of

        return [log_of(record) for record in self._logs.copy()]

    @logs.setter
    def logs(self, logs: list[Any]) -> None:
        from .thrift import record_of

        self._logs = [record_of(log) for log in logs]

    def info(self, message: str, payload: Any = None) -> Span:
        """Deprecated in jaeger_client."""
        return self.log_event(message, payload or None)  # type: ignore[no-any-return]

    def error(self, message: str, payload: Any = None) -> Span:
        """Deprecated in jaeger_client."""
        self.set_tag("error", True)
        return self.log_event(message, payload or None)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        context = self.context
        ids = f"{context.trace_id:x}:{context.span_id:x}:{context.parent_id or 0:x}"
        return f"{ids}:{context.flags:x} {self.tracer.service_name}.{text(self.operation_name)}"

    # OpenTelemetry's face

    def get_span_context(self) -> trace.SpanContext:
        return self.context.to_otel()

    @property
    def parent(self) -> trace.SpanContext | None:
        """The parent's place in the trace, as the SDK's spans tell it."""
        context = self.context
        if not context.parent_id:
            return None
        parent = SpanContext(context.trace_id, context.parent_id, None, context.flags)
        parent.is_remote = self._parent_is_remote
        return parent.to_otel()

    def is_recording(self) -> bool:
        return bool(self.context.flags & SAMPLED) and self.end_time is None

    def set_attribute(self, key: str, value: Any) -> None:
        if self.is_recording():
            self._set(text(key), any_value(value, self.tracer.max_tag_value_length))

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def add_event(
        self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None
    ) -> None:
        if self.is_recording():
            moment = time.time() if timestamp is None else timestamp / 1e9
            self._add_log(LogRecord(text(name), moment, self._clean(attributes)))

    def add_link(
        self, context: trace.SpanContext, attributes: Mapping[str, Any] | None = None
    ) -> None:
        if self.is_recording() and context is not None and context.is_valid:
            self._links = [*(self._links or ()), trace.Link(context, self._clean(attributes))]

    def update_name(self, name: str) -> None:
        self.set_operation_name(name)

    def set_status(self, status: Any, description: str | None = None) -> None:
        """An explicit status wins over the one Jaeger derives from tags."""
        if not isinstance(status, trace.Status):
            status = trace.Status(status, description)
        final = self._status is not None and self._status.status_code is trace.StatusCode.OK
        if self.is_recording() and not final and status.status_code is not trace.StatusCode.UNSET:
            self._status = status

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        kind = type(exception)
        name = kind.__qualname__
        if kind.__module__ != "builtins":
            name = f"{kind.__module__}.{name}"
        stack = traceback.format_exception(kind, exception, exception.__traceback__)
        details = {
            "exception.type": name,
            "exception.message": text(exception),
            "exception.stacktrace": text("".join(stack), self.tracer.max_traceback_length),
            "exception.escaped": str(escaped),
        }
        self.add_event("exception", {**details, **(attributes or {})}, timestamp)

    def end(self, end_time: int | None = None) -> None:
        self.finish(None if end_time is None else end_time / 1e9)

    # Inside

    def _clean(self, attributes: Mapping[str, Any] | None) -> dict[str, Any]:
        limit = self.tracer.max_tag_value_length
        return {text(key): any_value(value, limit) for key, value in (attributes or {}).items()}

    def _set(self, key: str, value: Any) -> None:
        attributes = self._attributes
        if len(attributes) < MAX_TAGS or key in attributes:
            attributes[key] = value
        else:
            self._dropped_tags += 1

    def _add_log(self, record: LogRecord) -> None:
        if len(self._logs) < MAX_LOGS:
            self._logs.append(record)
        else:
            self._dropped_logs += 1

    def _set_sampling_priority(self, value: Any) -> bool:
        """Whether the tag itself is to be recorded."""
        if value and self.context.flags & DEBUG:
            return False
        try:
            priority = int(value)
        except Exception:  # noqa: BLE001 - anything may come
            return False
        if priority == 0:
            self.context.flags &= ~(SAMPLED | DEBUG)
            return False
        if self.tracer.is_debug_allowed(self.operation_name):
            self.context.flags |= SAMPLED | DEBUG
            return True
        return False

    def _baggage_to_current(self, key: str, value: str | None) -> None:
        context = get_current()
        if context.get(_SPAN_KEY) is self:
            if value is None:
                attach(otel_baggage.remove_baggage(key, context))
            else:
                attach(otel_baggage.set_baggage(key, value, context))

    def start_time_ns(self) -> int:
        return nanoseconds(self.start_time)

    def end_time_ns(self) -> int:
        """Never before the start: a clock set back in between must not give a negative duration."""
        end = self.start_time if self.end_time is None else self.end_time
        return max(nanoseconds(end), self.start_time_ns())


know(Span)
