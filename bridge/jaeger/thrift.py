"""Jaeger's thrift types, and what decodes them from UDP packets and HTTP bodies.

The types follow `jaeger.thrift` and `agent.thrift` of jaegertracing/jaeger-idl. Text stays bytes
as it came: whether it is UTF-8 is the translator's business.
"""

from __future__ import annotations

import struct
from enum import Enum
from typing import Any

from thrift.protocol.TBase import TBase
from thrift.protocol.TBinaryProtocol import TBinaryProtocolAccelerated
from thrift.protocol.TCompactProtocol import TCompactProtocolAccelerated
from thrift.protocol.TProtocol import TProtocolException
from thrift.Thrift import TException, TMessageType, TType
from thrift.transport.TTransport import TMemoryBuffer, TTransportException

STRING, DOUBLE, BOOL, LONG, BINARY = range(5)  # TagType
CHILD_OF, FOLLOWS_FROM = range(2)  # SpanRefType


class Protocol(Enum):
    """How thrift is written: compact on UDP 6831 and 5775, binary on UDP 6832 and over HTTP."""

    COMPACT = "compact"
    BINARY = "binary"


class Malformed(Exception):
    """The input is refused. `reason` is one of few fixed words, fit for a metric's label."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


def decode_packet(data: bytes, protocol: Protocol) -> Batch:
    """The batch of one UDP packet, a oneway call of `agent.emitBatch`.

    Raises `Malformed`: `zipkin` for `emitZipkinBatch`, `method` for any other call, `truncated`,
    `limit` or `thrift` for what is not well-formed.
    """
    reader = _reader(data, protocol)
    call = _EmitBatch()
    try:
        method, kind, _ = reader.readMessageBegin()
        if method == "emitZipkinBatch":
            raise Malformed("zipkin", "Zipkin spans are not supported")
        if method != "emitBatch" or kind not in _CALLS:
            raise Malformed("method", "not a call of agent.emitBatch")
        call.read(reader)
    except _DECODE_ERRORS as error:
        raise _refusal(error) from None
    if call.batch is None:
        raise Malformed("missing-field", "batch")
    return call.batch


def decode_batch(data: bytes, protocol: Protocol = Protocol.BINARY) -> Batch:
    """The batch of an HTTP body, a bare `jaeger.Batch`. Raises `Malformed`."""
    batch = Batch()
    try:
        batch.read(_reader(data, protocol))
    except _DECODE_ERRORS as error:
        raise _refusal(error) from None
    return batch


def _reader(data: bytes, protocol: Protocol) -> Any:
    # Neither a string nor a list can have more bytes or elements than there is input.
    return _READERS[protocol](
        TMemoryBuffer(data),
        string_length_limit=len(data),
        container_length_limit=len(data),
    )


def _refusal(error: Exception) -> Malformed:
    if isinstance(error, EOFError):
        return Malformed("truncated")
    beyond = (type(error), getattr(error, "type", None)) in _LIMITS
    if beyond or isinstance(error, (OverflowError, RecursionError)):
        return Malformed("limit", str(error))
    return Malformed("thrift", type(error).__name__)


_READERS: dict[Protocol, Any] = {
    Protocol.COMPACT: TCompactProtocolAccelerated,
    Protocol.BINARY: TBinaryProtocolAccelerated,
}
_LIMITS = frozenset(
    {
        (TTransportException, TTransportException.NEGATIVE_SIZE),
        (TTransportException, TTransportException.SIZE_LIMIT),
        (TProtocolException, TProtocolException.NEGATIVE_SIZE),
        (TProtocolException, TProtocolException.SIZE_LIMIT),
        (TProtocolException, TProtocolException.DEPTH_LIMIT),
    }
)
_CALLS = frozenset({TMessageType.CALL, TMessageType.ONEWAY})
# What thrift's C decoder, or its Python one where that is missing, raises for bad input.
_DECODE_ERRORS = (
    TException,
    EOFError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    AssertionError,
    struct.error,
)

_Field = tuple[int, int, str, Any, None]


def _fields(*fields: tuple[Any, ...]) -> tuple[_Field | None, ...]:
    """A `thrift_spec`: (type, name) or (type, name, class) per field, counted from 1."""
    return None, *(_field(number, *field) for number, field in enumerate(fields, 1))


def _field(number: int, kind: Any, name: str, of: Any = None) -> _Field:
    if kind == TType.LIST:
        return number, kind, name, (TType.STRUCT, [of, of.thrift_spec], False), None
    if kind == TType.STRUCT:
        return number, kind, name, [of, of.thrift_spec], None
    return number, kind, name, "BINARY" if kind == TType.STRING else None, None


# The decoder sets the attributes that came; one that did not keeps its class's None. Of what the
# IDL requires, the type says that it is there: the translator refuses a batch that lacks it.
REQUIRED: Any = None


class Tag(TBase):
    """A key and a value of one of five types; `kind` (the IDL's vType) says which."""

    key: bytes = REQUIRED
    kind: int = REQUIRED
    string: bytes | None = None
    double: float | None = None
    boolean: bool | None = None
    long: int | None = None
    binary: bytes | None = None
    thrift_spec = _fields(
        (TType.STRING, "key"),
        (TType.I32, "kind"),
        (TType.STRING, "string"),
        (TType.DOUBLE, "double"),
        (TType.BOOL, "boolean"),
        (TType.I64, "long"),
        (TType.STRING, "binary"),
    )


class Log(TBase):
    """What happened at one moment (microseconds since the epoch)."""

    timestamp: int = REQUIRED
    fields: list[Tag] = REQUIRED
    thrift_spec = _fields((TType.I64, "timestamp"), (TType.LIST, "fields", Tag))


class SpanRef(TBase):
    """A reference to another span, of this trace or another."""

    kind: int = REQUIRED
    trace_id_low: int = REQUIRED
    trace_id_high: int = REQUIRED
    span_id: int = REQUIRED
    thrift_spec = _fields(
        (TType.I32, "kind"),
        (TType.I64, "trace_id_low"),
        (TType.I64, "trace_id_high"),
        (TType.I64, "span_id"),
    )


class Span(TBase):
    """One span. Ids are signed 64-bit halves, times are microseconds."""

    trace_id_low: int = REQUIRED
    trace_id_high: int = REQUIRED
    span_id: int = REQUIRED
    parent_span_id: int = REQUIRED
    operation_name: bytes = REQUIRED
    references: list[SpanRef] | None = None
    flags: int = REQUIRED
    start_time: int = REQUIRED
    duration: int = REQUIRED
    tags: list[Tag] | None = None
    logs: list[Log] | None = None
    thrift_spec = _fields(
        (TType.I64, "trace_id_low"),
        (TType.I64, "trace_id_high"),
        (TType.I64, "span_id"),
        (TType.I64, "parent_span_id"),
        (TType.STRING, "operation_name"),
        (TType.LIST, "references", SpanRef),
        (TType.I32, "flags"),
        (TType.I64, "start_time"),
        (TType.I64, "duration"),
        (TType.LIST, "tags", Tag),
        (TType.LIST, "logs", Log),
    )


class Process(TBase):
    """The service that sent a batch."""

    service_name: bytes = REQUIRED
    tags: list[Tag] | None = None
    thrift_spec = _fields((TType.STRING, "service_name"), (TType.LIST, "tags", Tag))


class Batch(TBase):
    """Spans of one process. The IDL's seqNo and stats, which few clients write, are skipped."""

    process: Process = REQUIRED
    spans: list[Span] = REQUIRED
    thrift_spec = _fields((TType.STRUCT, "process", Process), (TType.LIST, "spans", Span))


class _EmitBatch(TBase):
    batch: Batch | None = None
    thrift_spec = _fields((TType.STRUCT, "batch", Batch))
