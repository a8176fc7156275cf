"""Thrift packets for the tests, from readable values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.Thrift import TMessageType
from thrift.transport.TTransport import TMemoryBuffer

from bridge.jaeger import thrift
from bridge.jaeger.thrift import Batch, Log, Process, Span, SpanRef, Tag

PROTOCOLS = {"compact": TCompactProtocol, "binary": TBinaryProtocol}
START = 1_700_000_000_000_000  # microseconds
Values = Mapping[str, Any] | Iterable[tuple[str, Any]]


def tag(key: str | bytes, value: Any) -> Tag:
    """A tag of the type that jaeger-client gives a Python value."""
    key = key if isinstance(key, bytes) else key.encode()
    for kind, python, field in (
        (thrift.BOOL, bool, "boolean"),
        (thrift.LONG, int, "long"),
        (thrift.DOUBLE, float, "double"),
        (thrift.BINARY, bytes, "binary"),
    ):
        if isinstance(value, python):
            return _filled(Tag(), key=key, kind=kind, **{field: value})
    return _filled(Tag(), key=key, kind=thrift.STRING, string=str(value).encode())


def tags(values: Values) -> list[Tag]:
    pairs = values.items() if isinstance(values, Mapping) else values
    return [value if isinstance(value, Tag) else tag(key, value) for key, value in pairs]


def log(fields: Values, timestamp: int = START) -> Log:
    return _filled(Log(), timestamp=timestamp, fields=tags(fields))


def reference(kind: int, trace_id: int, span_id: int) -> SpanRef:
    return _filled(
        SpanRef(),
        kind=kind,
        trace_id_low=signed(trace_id),
        trace_id_high=signed(trace_id >> 64),
        span_id=signed(span_id),
    )


def span(values: Values = (), **fields: Any) -> Span:
    """A span with these tags; `trace_id` may have 128 bits."""
    trace_id = fields.pop("trace_id", 0xABC)
    usual = {
        "trace_id_low": signed(trace_id),
        "trace_id_high": signed(trace_id >> 64),
        "span_id": 0xDEF,
        "parent_span_id": 0,
        "operation_name": b"op",
        "flags": 1,
        "start_time": START,
        "duration": 1000,
        "tags": tags(values),
    }
    return _filled(Span(), **{**usual, **fields})


def process(name: str = "svc", values: Values | None = None) -> Process:
    return _filled(
        Process(), service_name=name.encode(), tags=None if values is None else tags(values)
    )


def batch(*spans: Span, of: Process | None = None) -> Batch:
    return _filled(Batch(), process=of or process(), spans=list(spans))


def body(of: Batch, protocol: str = "binary") -> bytes:
    """The batch alone, as over HTTP."""
    transport = TMemoryBuffer()
    of.write(PROTOCOLS[protocol](transport))
    return bytes(transport.getvalue())


def packet(of: Batch, protocol: str = "compact") -> bytes:
    """The batch as a call of agent.emitBatch, as over UDP."""
    call = thrift._EmitBatch()
    call.batch = of
    return _call("emitBatch", call, protocol)


def zipkin_packet(protocol: str = "compact") -> bytes:
    return _call("emitZipkinBatch", thrift._EmitBatch(), protocol)


def _call(method: str, arguments: Any, protocol: str) -> bytes:
    transport = TMemoryBuffer()
    writer = PROTOCOLS[protocol](transport)
    writer.writeMessageBegin(method, TMessageType.ONEWAY, 0)
    arguments.write(writer)
    writer.writeMessageEnd()
    return bytes(transport.getvalue())


def _filled(struct: Any, **values: Any) -> Any:
    for name, value in values.items():
        setattr(struct, name, value)
    return struct


def signed(number: int) -> int:
    """The low 64 bits as thrift's signed i64."""
    number &= 2**64 - 1
    return number - 2**64 if number >= 2**63 else number
