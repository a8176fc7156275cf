"""The legacy side's packets as OTLP: decoded and translated as Jaeger itself does."""

from __future__ import annotations

from collections.abc import Iterator

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

from bridge.jaeger.thrift import BOOL, Batch, Malformed, Protocol, decode_batch, decode_packet
from bridge.jaeger.translate import resource_spans


class Legacy:
    """Keeps what came; `resource_spans` decodes it."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.bodies: list[bytes] = []
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


def _said_error(batch: Batch) -> Iterator[tuple[bytes, bytes]]:
    for span in batch.spans or ():
        if any(t.key == b"error" and t.kind == BOOL and t.boolean for t in span.tags or ()):
            yield (
                _unsigned(span.trace_id_high) + _unsigned(span.trace_id_low),
                _unsigned(span.span_id),
            )


def _unsigned(number: int | None) -> bytes:
    return ((number or 0) & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "big")
