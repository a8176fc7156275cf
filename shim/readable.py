"""A legacy span as OpenTelemetry's SDK wants to see it: for processors and exporters."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from shim.meaning import Meaning, event_of, links_of, translate
from shim.values import nanoseconds, text

if TYPE_CHECKING:
    from shim.jaeger_client.span import Span

# Jaeger's thrift receiver names no scope either; a name would show as one more tag.
SCOPE = InstrumentationScope("")

_KINDS = (
    trace.SpanKind.INTERNAL,  # unspecified: the SDK has no such kind, the fast encoder writes it
    trace.SpanKind.INTERNAL,
    trace.SpanKind.SERVER,
    trace.SpanKind.CLIENT,
    trace.SpanKind.PRODUCER,
    trace.SpanKind.CONSUMER,
)


class SdkSpan(ReadableSpan, trace.Span):
    """A view of a legacy span; what is written goes to that span.

    Everything is made when asked for. The SDK reads its own private names (`to_json` does), so
    those are here too.
    """

    def __init__(self, span: Span, resource: Resource) -> None:
        self.span = span
        self._resource = resource

    @property
    def meaning(self) -> Meaning:
        """The translated tags; a fresh copy while the span runs, the same one after its end."""
        if not self.span.finished:
            return translate(self.span._attributes, self.span._status)
        return self._final_meaning

    @cached_property
    def _final_meaning(self) -> Meaning:
        return translate(self.span._attributes, self.span._status)

    @property
    def _name(self) -> str:  # type: ignore[override]
        return text(self.span.operation_name)

    @cached_property
    def _context(self) -> trace.SpanContext:  # type: ignore[override]
        return self.span.context.to_otel()

    @property
    def _parent(self) -> trace.SpanContext | None:  # type: ignore[override]
        return self.span.parent

    @property
    def _kind(self) -> trace.SpanKind:  # type: ignore[override]
        return _KINDS[self.meaning.kind]

    @property
    def _status(self) -> trace.Status:  # type: ignore[override]
        _, _, code, description = self.meaning
        wanted = trace.StatusCode(code)
        return trace.Status(wanted, description if wanted is trace.StatusCode.ERROR else None)

    @property
    def _attributes(self) -> Mapping[str, Any]:  # type: ignore[override]
        return self.meaning.attributes

    @property
    def _events(self) -> tuple[Event, ...]:  # type: ignore[override]
        return tuple(
            Event(name, attributes, nanoseconds(record.timestamp))
            for record in self.span._logs.copy()
            for name, attributes in (event_of(record.name, record.fields),)
        )

    @property
    def _links(self) -> tuple[trace.Link, ...]:  # type: ignore[override]
        span = self.span
        return (*links_of(span.references, span.context), *(span._links or ()))

    @property
    def _start_time(self) -> int:  # type: ignore[override]
        return self.span.start_time_ns()

    @property
    def _end_time(self) -> int | None:  # type: ignore[override]
        return self.span.end_time_ns() if self.span.finished else None

    @property
    def _instrumentation_scope(self) -> InstrumentationScope:  # type: ignore[override]
        return SCOPE

    @property
    def _instrumentation_info(self) -> None:  # type: ignore[override]
        return None

    @property
    def dropped_attributes(self) -> int:
        return self.span._dropped_tags

    @property
    def dropped_events(self) -> int:
        return self.span._dropped_logs

    @property
    def dropped_links(self) -> int:
        return 0

    def get_span_context(self) -> trace.SpanContext:
        return self._context

    def is_recording(self) -> bool:
        return self.span.is_recording()

    def set_attribute(self, key: str, value: Any) -> None:
        self.span.set_attribute(key, value)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        self.span.set_attributes(attributes)

    def add_event(
        self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None
    ) -> None:
        self.span.add_event(name, attributes, timestamp)

    def add_link(
        self, context: trace.SpanContext, attributes: Mapping[str, Any] | None = None
    ) -> None:
        self.span.add_link(context, attributes)

    def update_name(self, name: str) -> None:
        self.span.update_name(name)

    def set_status(self, status: Any, description: str | None = None) -> None:
        self.span.set_status(status, description)

    def record_exception(self, exception: BaseException, *args: Any, **kwargs: Any) -> None:
        self.span.record_exception(exception, *args, **kwargs)

    def end(self, end_time: int | None = None) -> None:
        self.span.end(end_time)
