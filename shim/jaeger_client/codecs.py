"""The codecs of jaeger_client 4.8: span contexts to and from carriers, over `shim.codecs`."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from opentracing import InvalidCarrierException, SpanContextCorruptedException

from shim import codecs as wire

from .constants import (
    BAGGAGE_HEADER_KEY,
    BAGGAGE_HEADER_PREFIX,
    DEBUG_ID_HEADER_KEY,
    TRACE_ID_HEADER,
)
from .span_context import SpanContext

ZipkinSpanFormat = "zipkin-span-format"


class Codec:
    """What a value of `Tracer.codecs` must do. The codecs here raise InvalidCarrierException
    for a carrier of the wrong type and SpanContextCorruptedException for broken content."""

    def inject(self, span_context: SpanContext, carrier: Any) -> None:
        raise NotImplementedError

    def extract(self, carrier: Any) -> SpanContext | None:
        raise NotImplementedError


class TextCodec(Codec):
    """`uber-trace-id`, `uberctx-*`, `jaeger-debug-id` and `jaeger-baggage`."""

    def __init__(
        self,
        url_encoding: bool = False,
        trace_id_header: str = TRACE_ID_HEADER,
        baggage_header_prefix: str = BAGGAGE_HEADER_PREFIX,
        debug_id_header: str = DEBUG_ID_HEADER_KEY,
        baggage_header: str = BAGGAGE_HEADER_KEY,
    ) -> None:
        self._format = wire.TextFormat(
            url_encoded=url_encoding,
            trace_id_header=trace_id_header,
            baggage_header_prefix=baggage_header_prefix,
            debug_id_header=debug_id_header,
            baggage_header=baggage_header,
        )
        self.url_encoding = url_encoding
        self.trace_id_header = self._format.trace_header
        self.baggage_prefix = self._format.baggage_prefix
        self.debug_id_header = self._format.debug_id_header
        self.baggage_header = self._format.baggage_header
        self.prefix_length = len(self.baggage_prefix)

    def inject(self, span_context: SpanContext, carrier: MutableMapping[str, str]) -> None:
        if type(carrier) is not dict and not hasattr(carrier, "items"):
            raise InvalidCarrierException("carrier not a collection")
        carrier[self.trace_id_header] = wire.format_trace(
            span_context.trace_id, span_context.span_id, span_context.parent_id, span_context.flags
        )
        if span_context._baggage:
            for header, value in self._format.baggage_headers(span_context.baggage):
                carrier[header] = value

    def extract(self, carrier: Mapping[str, Any]) -> SpanContext | None:
        if type(carrier) is not dict and not hasattr(carrier, "items"):
            raise InvalidCarrierException("carrier not a collection")
        trace, baggage, debug_id = self._format.read(carrier.items())
        if trace is not None:
            try:
                trace_id, span_id, parent_id, flags = wire.parse_trace(trace)
            except wire.WireError:  # may be a list, and else raises what it should
                return SpanContext(*span_context_from_string(trace), baggage, debug_id)
            return SpanContext(trace_id, span_id, parent_id, flags, baggage, debug_id)
        if not baggage and not debug_id:
            return None
        return SpanContext(None, None, None, None, baggage, debug_id)


class BinaryCodec(Codec):
    """The binary format of the Go and Python clients."""

    def inject(self, span_context: SpanContext, carrier: bytearray) -> None:
        if not isinstance(carrier, bytearray):
            raise InvalidCarrierException("carrier not a bytearray")
        carrier += wire.pack_binary(
            span_context.trace_id,
            span_context.span_id,
            span_context.parent_id,
            span_context.flags,
            span_context.baggage,
        )

    def extract(self, carrier: bytes | bytearray) -> SpanContext | None:
        if not isinstance(carrier, (bytes, bytearray)):
            raise InvalidCarrierException("carrier not a bytearray")
        try:
            ids, baggage = wire.unpack_binary(carrier)
        except wire.WireError as error:
            raise SpanContextCorruptedException(str(error)) from error
        return SpanContext(*ids, baggage)


class ZipkinCodec(Codec):
    """TChannel's `zipkin-span-format`: a dict, or an object with the four attributes."""

    _FIELDS = ("trace_id", "span_id", "parent_id", "traceflags")

    def inject(self, span_context: SpanContext, carrier: dict[str, Any]) -> None:
        if not isinstance(carrier, dict):
            raise InvalidCarrierException("carrier not a dictionary")
        carrier.update(
            wire.zipkin_fields(
                span_context.trace_id,
                span_context.span_id,
                span_context.parent_id,
                span_context.flags,
            )
        )

    def extract(self, carrier: Any) -> SpanContext | None:
        if isinstance(carrier, dict):
            ids = [carrier.get(field) for field in self._FIELDS]
        else:
            for field in self._FIELDS:
                if not hasattr(carrier, field):
                    raise InvalidCarrierException(f"carrier has no {field}")
            ids = [getattr(carrier, field) for field in self._FIELDS]
        return SpanContext(*ids) if ids[0] else None


class B3Codec(Codec):
    """B3 as several headers. Unlike jaeger_client it takes any mapping, and writes `Sampled: 0`."""

    trace_header = "X-B3-TraceId"
    span_header = "X-B3-SpanId"
    parent_span_header = "X-B3-ParentSpanId"
    sampled_header = "X-B3-Sampled"
    flags_header = "X-B3-Flags"

    def __init__(self, generate_128bit_trace_id: bool = False) -> None:
        self.generate_128bit_trace_id = generate_128bit_trace_id

    def inject(self, span_context: SpanContext, carrier: MutableMapping[str, str]) -> None:
        if not hasattr(carrier, "__setitem__") or not hasattr(carrier, "items"):
            raise InvalidCarrierException("carrier not a dictionary")
        headers = wire.b3_headers(
            span_context.trace_id,
            span_context.span_id,
            span_context.parent_id,
            span_context.flags,
            digits=32 if self.generate_128bit_trace_id else 16,
        )
        for name, value in headers.items():
            carrier[_B3_NAMES[name]] = value

    def extract(self, carrier: Mapping[str, Any]) -> SpanContext | None:
        if not hasattr(carrier, "items"):
            raise InvalidCarrierException("carrier not a dictionary")
        headers = {key.lower(): value for key, value in carrier.items() if value is not None}
        try:
            ids = wire.parse_b3_headers(headers)
        except (wire.WireError, TypeError) as error:
            raise SpanContextCorruptedException(str(error)) from error
        return None if ids is None else SpanContext(*ids)


_B3_NAMES = {
    name.lower(): name
    for name in (
        B3Codec.trace_header,
        B3Codec.span_header,
        B3Codec.parent_span_header,
        B3Codec.sampled_header,
        B3Codec.flags_header,
    )
}


def span_context_to_string(trace_id: int, span_id: int, parent_id: int | None, flags: int) -> str:
    """`{trace}:{span}:{parent}:{flags}` in hex without leading zeros."""
    return wire.format_trace(trace_id, span_id, parent_id, flags)


def span_context_from_string(value: Any) -> tuple[int, int, int | None, int]:
    """Trace id, span id, parent id (None without) and flags of an `uber-trace-id` value, or of
    a list holding one. Raises SpanContextCorruptedException."""
    try:
        ids = wire.parse_trace(value)
    except wire.WireError as error:
        if isinstance(value, list) and len(value) == 1:
            return span_context_from_string(value[0])
        raise SpanContextCorruptedException(str(error)) from error
    return ids if ids[2] else (ids[0], ids[1], None, ids[3])


def header_to_hex(header: Any) -> int:
    """A hex header as a number. Raises SpanContextCorruptedException."""
    try:
        return wire.parse_id(header, 32)
    except (wire.WireError, TypeError) as error:
        raise SpanContextCorruptedException(str(error)) from error
