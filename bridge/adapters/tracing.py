"""The one tracing helper of the adapters: CLIENT spans for calls, linked roots for background work.

A call's span names the operation, keeps its status unset unless the call fails, and then says
`error.type` and a fixed text; no exception text is ever recorded. The context goes out as W3C
`traceparent` only: it is what these servers read, and baggage would land in their audit logs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import Token
from importlib import metadata
from types import TracebackType
from typing import TypeAlias

from opentelemetry import baggage, trace
from opentelemetry import context as context_api
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from bridge.adapters.conventions import ERROR_TYPE, SCHEMA_URL
from bridge.adapters.errors import AdapterError

Attributes: TypeAlias = Mapping[str, AttributeValue]
# Turns a client library's exception into ours; None leaves it as it is.
Translate: TypeAlias = Callable[[BaseException], "AdapterError | None"]

# The plain key is the one that is not private to a package; instrumentations honour both.
SUPPRESS = "suppress_instrumentation"
# Where the API keeps the current span; its own name for it is private.
_SPAN = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, Context())))
_UNEXPECTED = "an unexpected error; its type is in error.type"


def _no_translation(error: BaseException) -> AdapterError | None:
    return None


class Tracing:
    """Makes the spans of one adapter ("consul", "etcd", "vault").

    With `transport_spans` the HTTP or gRPC instrumentation below may add its own spans; they are
    suppressed otherwise, because they repeat the call and show session ids in urls.
    """

    def __init__(
        self,
        system: str,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        transport_spans: bool = False,
    ) -> None:
        self.system = system
        self.transport_spans = transport_spans
        self._tracer = trace.get_tracer(
            f"bridge.adapters.{system}", _version(), tracer_provider, SCHEMA_URL
        )

    def call(
        self, name: str, attributes: Attributes, translate: Translate = _no_translation
    ) -> Call:
        """`with tracing.call("get config/", {...}) as call:` around one call to the server."""
        parent = context_api.get_current()
        if parent.get(SUPPRESS):
            return self.untraced(translate)
        span = self._tracer.start_span(name, parent, SpanKind.CLIENT, attributes)
        if self.transport_spans:
            context = baggage.clear(trace.set_span_in_context(span, parent))
        else:
            context = Context({**parent, _SPAN: span, SUPPRESS: True})
        return Call(span, context, translate)

    def untraced(self, translate: Translate = _no_translation) -> Call:
        """A call that makes no span: heartbeats and blocking reads. Its errors are translated."""
        return Call(trace.INVALID_SPAN, Context({SUPPRESS: True}), translate)

    def background(
        self, name: str, origin: SpanContext | None, attributes: Attributes | None = None
    ) -> Call:
        """A new root for work that nobody waits for, linked to the span that began it."""
        links = [Link(origin)] if origin is not None and origin.is_valid else []
        span = self._tracer.start_span(name, Context(), SpanKind.INTERNAL, attributes, links)
        return Call(span, trace.set_span_in_context(span, Context()), _no_translation)


def origin() -> SpanContext | None:
    """The span that is current now, for `background` to link to later."""
    context = trace.get_current_span().get_span_context()
    return context if context.is_valid else None


class Call:
    """One span, current while its `with` block runs.

    What is found out meanwhile is handed to the SDK once, at the end: it takes a lock each time.
    """

    __slots__ = ("_context", "_found", "_token", "_translate", "span")

    def __init__(self, span: Span, context: Context, translate: Translate) -> None:
        self.span = span
        self._context = context
        self._translate = translate
        self._token: Token[Context] | None = None
        self._found: dict[str, AttributeValue] = {}

    def inject(self, headers: MutableMapping[str, str]) -> None:
        """Adds `traceparent` (and `tracestate`) to HTTP headers.

        Of the flags only "sampled": servers with a trace library of before "random" (etcd 3.5)
        drop a header that has it.
        """
        own = self.span.get_span_context()
        if not own.is_valid:
            return
        sampled = own.trace_flags & 1
        headers["traceparent"] = f"00-{own.trace_id:032x}-{own.span_id:016x}-{sampled:02x}"
        if own.trace_state:
            headers["tracestate"] = own.trace_state.to_header()

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The same for gRPC."""
        carrier: dict[str, str] = {}
        self.inject(carrier)
        return tuple(carrier.items())

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Calls inside are spans below this one, if it is one; else they are suppressed."""
        if not self.span.get_span_context().is_valid:
            yield
            return
        token = context_api.attach(trace.set_span_in_context(self.span, Context()))
        try:
            yield
        finally:
            context_api.detach(token)

    def set(self, name: str, value: AttributeValue) -> None:
        self._found[name] = value

    def fail(self, error: BaseException) -> None:
        """Marks the span; for a failure that is not raised through the block."""
        if isinstance(error, AdapterError):
            if error.expected:
                return
            error_type, text = error.error_type, error.text
        else:
            error_type, text = type(error).__qualname__, _UNEXPECTED
        self._found[ERROR_TYPE] = error_type
        self.span.set_status(Status(StatusCode.ERROR, text))

    def __enter__(self) -> Call:
        self._token = context_api.attach(self._context)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace_: TracebackType | None,
    ) -> None:
        if self._token is not None:
            context_api.detach(self._token)
        ours = None
        if error is not None:
            ours = None if isinstance(error, AdapterError) else self._translate(error)
            self.fail(ours or error)
        if self._found:
            self.span.set_attributes(self._found)
        self.span.end()
        if ours is not None:
            raise_clean(ours)


def raise_clean(error: AdapterError) -> None:
    """Raises without the exception being handled: its text would show in every traceback."""
    try:
        raise error
    finally:
        error.__cause__ = error.__context__ = None


def _version() -> str:
    try:
        return metadata.version("jaeger2otlp")
    except metadata.PackageNotFoundError:
        return ""
