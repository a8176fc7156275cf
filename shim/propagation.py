"""OpenTelemetry propagators for the legacy formats: `uber-trace-id` and B3.

Plain TextMapPropagators; the shim's tracer is not needed. By entry point:
`OTEL_PROPAGATORS=tracecontext,baggage,uber_trace_id` (also `jaeger_b3multi`, `jaeger_b3`).

They differ from OpenTelemetry's own JaegerPropagator where that is wrong on the wire: the W3C
*random* bit is never taken for Jaeger's *debug* bit (both are 0x02) nor sent as it, a sampled
span is not a debug span, headers are found in any case, percent-encoded or not, baggage and
debug ids count without a trace, and Jaeger's debug and firehose flags reach the next service.

Those flags have no place in a W3C span context. They travel in the Context beside the span,
bound to their trace, and so never show up in `traceparent`, `tracestate` or exported spans.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from opentelemetry import baggage as otel_baggage
from opentelemetry.context import Context, create_key, get_value, set_value
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)

from shim.codecs import (
    BAGGAGE_HEADER,
    BAGGAGE_HEADER_PREFIX,
    DEBUG,
    DEBUG_ID_HEADER,
    SAMPLED,
    TRACE_ID_HEADER,
    Ids,
    TextFormat,
    WireError,
    b3_headers,
    b3_single,
    format_trace_padded,
    parse_b3_headers,
    parse_b3_single,
    parse_trace,
    safe_flags,
)

__all__ = [
    "B3MultiPropagator",
    "B3SinglePropagator",
    "DebugRequest",
    "UberTraceIdPropagator",
    "debug_request",
    "jaeger_flags",
    "with_debug_id",
    "with_jaeger_flags",
]

_logger = logging.getLogger(__name__)

FLAGS_KEY = create_key("jaeger-flags")
"""Holds what has `trace_id` and `flags`, or a legacy span, whose context has them."""

_DEBUG_KEY = create_key("jaeger-debug-request")
# More header names than any server lets through; a carrier that has more is not read to its end.
_MAX_HEADERS = 1000
_MAX_DEBUG_TRACES = 64


class _BoundFlags(NamedTuple):
    trace_id: int
    flags: int


class DebugRequest:
    """A caller's `jaeger-debug-id` without a trace: roots started in its Context are debug traces.

    A sampler that honours it (those of `shim.samplers` do) calls `grant`.
    """

    __slots__ = ("_traces", "debug_id")

    def __init__(self, debug_id: str) -> None:
        self.debug_id = debug_id
        self._traces: set[int] = set()

    def grant(self, trace_id: int) -> None:
        if len(self._traces) < _MAX_DEBUG_TRACES:
            self._traces.add(trace_id)

    def granted(self, trace_id: int) -> bool:
        return trace_id in self._traces


def with_jaeger_flags(context: Context, trace_id: int, flags: int) -> Context:
    """A Context in which spans of `trace_id` carry these Jaeger flags to the next service."""
    if not flags & ~SAMPLED:
        return context
    return set_value(FLAGS_KEY, _BoundFlags(trace_id, flags), context)


def jaeger_flags(context: Context | None, span_context: SpanContext) -> int:
    """The Jaeger flags of `span_context`: sampled from itself, the others from `context`.

    Debug needs sampled: a trace that nobody records is no debug trace.
    """
    sampled = span_context.trace_flags & SAMPLED
    bound: Any = get_value(FLAGS_KEY, context)
    bound = getattr(bound, "context", bound)
    if getattr(bound, "trace_id", None) == span_context.trace_id:
        extra = int(bound.flags) & ~SAMPLED
        return sampled | (extra if sampled else extra & ~DEBUG)
    request = debug_request(context)
    if sampled and request is not None and request.granted(span_context.trace_id):
        return SAMPLED | DEBUG
    return sampled


def with_debug_id(context: Context, debug_id: str) -> Context:
    """A Context in which a new root is to be a debug trace tagged `jaeger-debug-id`."""
    return set_value(_DEBUG_KEY, DebugRequest(debug_id), context)


def debug_request(context: Context | None) -> DebugRequest | None:
    """The debug request of `context` (None: the current one), if a caller made one."""
    request = get_value(_DEBUG_KEY, context)
    return request if isinstance(request, DebugRequest) else None


class LegacyPropagator(TextMapPropagator):
    """What the propagators here share: neither `extract` nor `inject` ever raises."""

    _names: tuple[str, ...]
    _prefix: str | None = None

    def extract(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,
    ) -> Context:
        """`context` (an empty one if None) with what the caller sent; unchanged without that."""
        context = Context() if context is None else context
        try:
            return self._read(_headers(carrier, getter, self._names, self._prefix), context)
        except WireError as error:
            _logger.debug("New trace: %s", error)
        except Exception:
            _logger.debug("Legacy trace headers not read", exc_info=True)
        return context

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """Writes the current span, if valid, and what else the format carries."""
        try:
            span = get_current_span(context)
            for name, text in self._write(span, context):
                setter.set(carrier, name, text)
        except Exception:
            _logger.debug("Legacy trace headers not written", exc_info=True)

    @abstractmethod
    def _read(self, headers: Iterator[tuple[str, Any]], context: Context) -> Context:
        """`context` with what `headers` say; raises WireError for broken ones."""

    @abstractmethod
    def _write(self, span: Span, context: Context | None) -> Iterable[tuple[str, str]]:
        """The headers to send."""


class UberTraceIdPropagator(LegacyPropagator):
    """Jaeger's `uber-trace-id`, `uberctx-*`, `jaeger-debug-id` and `jaeger-baggage` headers.

    The keyword arguments are the keys of the same names in jaeger_client's Config. A broken
    trace header starts a new trace; baggage and debug id beside it still count.
    """

    def __init__(
        self,
        *,
        trace_id_header: str = TRACE_ID_HEADER,
        baggage_header_prefix: str = BAGGAGE_HEADER_PREFIX,
        debug_id_header: str = DEBUG_ID_HEADER,
        baggage_header: str = BAGGAGE_HEADER,
    ) -> None:
        self._format = TextFormat(
            trace_id_header=trace_id_header,
            baggage_header_prefix=baggage_header_prefix,
            debug_id_header=debug_id_header,
            baggage_header=baggage_header,
        )
        self._prefix = self._format.baggage_prefix
        self._names = (
            self._format.trace_header,
            self._format.debug_id_header,
            self._format.baggage_header,
        )

    @property
    def fields(self) -> set[str]:
        """The header that is always written; baggage headers are named by their keys."""
        return {self._format.trace_header}

    def _read(self, headers: Iterator[tuple[str, Any]], context: Context) -> Context:
        header, baggage, debug_id = self._format.read(headers)
        for key, value in baggage.items():
            context = otel_baggage.set_baggage(key, value, context)
        if header is not None:
            try:
                return _with_remote_span(parse_trace(header), context)
            except WireError as error:
                _logger.debug("New trace: %s", error)
        if debug_id and not get_current_span(context).get_span_context().is_valid:
            return with_debug_id(context, debug_id)
        return context

    def _write(self, span: Span, context: Context | None) -> Iterable[tuple[str, str]]:
        ids = _ids_of(span, context)
        if ids is not None:
            yield self._format.trace_header, format_trace_padded(*ids)
        baggage = {**otel_baggage.get_all(context), **_span_baggage(span)}
        yield from self._format.baggage_headers(baggage)


class B3MultiPropagator(LegacyPropagator):
    """B3 as `X-B3-*` headers; reads the single `b3` header too. B3 carries no baggage.

    Unlike OpenTelemetry's own it reads ids without leading zeros (jaeger-client for Node sends
    them), keeps debug, names the parent and reads header names in any case.
    """

    _names = (
        "b3",
        "x-b3-traceid",
        "x-b3-spanid",
        "x-b3-parentspanid",
        "x-b3-sampled",
        "x-b3-flags",
    )

    @property
    def fields(self) -> set[str]:
        return set(self._names[1:])

    def _read(self, headers: Iterator[tuple[str, Any]], context: Context) -> Context:
        found = {key: value if isinstance(value, str) else str(value) for key, value in headers}
        ids = parse_b3_single(found["b3"]) if "b3" in found else parse_b3_headers(found)
        return context if ids is None else _with_remote_span(ids, context)

    def _write(self, span: Span, context: Context | None) -> Iterable[tuple[str, str]]:
        ids = _ids_of(span, context)
        return () if ids is None else b3_headers(*ids).items()


class B3SinglePropagator(B3MultiPropagator):
    """B3 as the one header `b3`; reads the `X-B3-*` headers too."""

    @property
    def fields(self) -> set[str]:
        return {"b3"}

    def _write(self, span: Span, context: Context | None) -> Iterable[tuple[str, str]]:
        ids = _ids_of(span, context)
        return () if ids is None else [("b3", b3_single(*ids))]


def _with_remote_span(ids: Ids, context: Context) -> Context:
    """`context` with the caller's span as the current one, its flags beside it.

    When `traceparent` named the same span already, its tracestate and other flags are kept.
    """
    trace_id, span_id, _, flags = ids
    known = get_current_span(context).get_span_context()
    same = known.trace_id == trace_id and known.span_id == span_id
    w3c_flags = known.trace_flags & ~SAMPLED if same else 0
    remote = SpanContext(
        trace_id=trace_id,
        span_id=span_id,
        is_remote=True,
        trace_flags=TraceFlags(w3c_flags | flags & SAMPLED),
        trace_state=known.trace_state if same else None,
    )
    context = set_span_in_context(NonRecordingSpan(remote), context)
    return with_jaeger_flags(context, trace_id, safe_flags(flags))


def _ids_of(span: Span, context: Context | None) -> Ids | None:
    """What goes out for `span`; None for an invalid one."""
    span_context = span.get_span_context()
    if not span_context.is_valid:
        return None
    parent = getattr(span, "parent", None)
    parent_id = getattr(parent, "span_id", 0) or 0
    flags = jaeger_flags(context, span_context) | _legacy_flags(span)
    return span_context.trace_id, span_context.span_id, parent_id, flags


def _legacy_flags(span: Span) -> int:
    """The flags of an OpenTracing span that is current as an OpenTelemetry span."""
    flags = getattr(getattr(span, "context", None), "flags", 0)
    return flags if isinstance(flags, int) else 0


def _span_baggage(span: Span) -> Mapping[str, Any]:
    """The baggage of an OpenTracing span that is current as an OpenTelemetry span."""
    baggage = getattr(getattr(span, "context", None), "baggage", None)
    return baggage if isinstance(baggage, Mapping) else {}


def _headers(
    carrier: CarrierT, getter: Getter[CarrierT], names: Iterable[str], prefix: str | None
) -> Iterator[tuple[str, Any]]:
    """The headers called one of `names` (in lower case) or starting with `prefix`, in any case.

    Names are asked for first, since some getters list no keys.
    """
    wanted = set()
    for name in names:
        value = _first(getter.get(carrier, name))
        if value is None:
            wanted.add(name)
        else:
            yield name, value
    for key in islice(getter.keys(carrier), _MAX_HEADERS):
        if not isinstance(key, str):
            continue
        name = key.lower()
        if name in wanted or (prefix is not None and name.startswith(prefix)):
            value = _first(getter.get(carrier, key))
            if value is not None:
                yield name, value


def _first(values: Any) -> Any:
    """The first of a header's values (None without one), as text when it came as bytes."""
    if values is None or isinstance(values, (str, bytes)):
        value = values
    else:
        value = next(iter(values), None)
    return value.decode("latin-1") if isinstance(value, bytes) else value
