"""The legacy side's packets as OTLP: decoded and translated as Jaeger itself does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

from bridge.jaeger.thrift import (
    BOOL,
    DOUBLE,
    LONG,
    STRING,
    Batch,
    Log,
    Malformed,
    Process,
    Protocol,
    Span,
    SpanRef,
    Tag,
    decode_batch,
    decode_packet,
)
from bridge.jaeger.translate import resource_spans


class Legacy:
    """Keeps what came; `resource_spans` decodes it."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.bodies: list[bytes] = []
        self.api_v2: list[bytes] = []  # JSON from the hook, one list of spans each
        self.refused: list[str] = []
        self.said_error: set[tuple[bytes, bytes]] = set()

    def resource_spans(self) -> list[ResourceSpans]:
        """What Jaeger would have made of it, in order of arrival.

        Fills `refused` with why a packet was not understood, and `said_error` with the ids of
        the spans whose program set the `error` tag, which the translation turns into a status.
        """
        self.refused.clear()
        batches = list(self._batches())
        self.said_error.update(ids for batch in batches for ids in _said_error(batch))
        return [resource_spans(batch) for batch in batches]

    def _batches(self) -> Iterator[Batch]:
        for packet in self.packets:
            protocol = Protocol.COMPACT if packet[:1] == b"\x82" else Protocol.BINARY
            try:
                yield decode_packet(packet, protocol)
            except Malformed as error:
                self.refused.append(str(error))
        for body in self.bodies:
            try:
                yield decode_batch(body)
            except Malformed as error:
                self.refused.append(str(error))
        for body in self.api_v2:
            yield from (_batch_of(span) for span in json.loads(body))


def _said_error(batch: Batch) -> Iterator[tuple[bytes, bytes]]:
    for span in batch.spans or ():
        if any(t.key == b"error" and t.kind == BOOL and t.boolean for t in span.tags or ()):
            yield (
                _unsigned(span.trace_id_high) + _unsigned(span.trace_id_low),
                _unsigned(span.span_id),
            )


def _unsigned(number: int | None) -> bytes:
    return ((number or 0) & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "big")


def _batch_of(told: dict[str, Any]) -> Batch:
    """A span of the removed gRPC exporter (jaeger.api_v2), as the hook writes it, in thrift."""
    batch, process, span = Batch(), Process(), Span()
    process.service_name = told["service"].encode()
    process.tags = [_tag(*tag) for tag in told["process"]]
    span.trace_id_high, span.trace_id_low = _halves(told["trace"])
    span.span_id = _signed(told["span"])
    span.parent_span_id = 0
    span.operation_name = told["name"].encode()
    span.references = [_reference(*reference) for reference in told["references"]]
    span.flags, span.start_time, span.duration = told["flags"], told["start"], told["duration"]
    span.tags = [_tag(*tag) for tag in told["tags"]]
    span.logs = [_log(*log) for log in told["logs"]]
    batch.process, batch.spans = process, [span]
    return batch


def _log(timestamp: int, fields: list[list[Any]]) -> Log:
    log = Log()
    log.timestamp, log.fields = timestamp, [_tag(*field) for field in fields]
    return log


def _reference(trace: str, span: str, kind: int) -> SpanRef:
    reference = SpanRef()
    reference.trace_id_high, reference.trace_id_low = _halves(trace)
    reference.span_id, reference.kind = _signed(span), kind
    return reference


def _tag(key: str, kind: int, value: Any) -> Tag:
    tag = Tag()
    tag.key = key.encode()
    tag.kind, field = _API_V2_TYPES[kind]
    setattr(tag, field, value.encode() if field == "string" else value)
    return tag


_API_V2_TYPES = ((STRING, "string"), (BOOL, "boolean"), (LONG, "long"), (DOUBLE, "double"))


def _halves(trace: str) -> tuple[int, int]:
    return _signed(trace.zfill(32)[:16]), _signed(trace.zfill(32)[16:])


def _signed(number: str) -> int:
    return int.from_bytes(bytes.fromhex(number), "big", signed=True)
