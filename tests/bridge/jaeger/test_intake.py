"""What is counted on the way in, and told."""

from __future__ import annotations

import logging

import pytest

from bridge.otlp.receiver import OtlpReceiver
from tests.bridge.jaeger import packets
from tests.bridge.jaeger.running import ONE, Start, metric, post, send_udp
from tests.servers.process import wait_until


def test_zipkin_spans_are_refused_and_counted(start: Start) -> None:
    agent = start()
    send_udp(agent, packets.zipkin_packet(), "zipkin")
    wait_until(lambda: agent.intake.counts.refused_batches)
    assert metric(agent, "refused_total", way="zipkin", reason="zipkin") == 1


def test_a_large_http_batch_is_cut(start: Start, sink: OtlpReceiver) -> None:
    spans = [packets.span({"k": "v" * 100}, span_id=number) for number in range(1, 5001)]
    agent = start(batch_spans=1000)
    assert post(agent, packets.body(packets.batch(*spans))) == 202
    assert len(sink.wait_for_spans(5000)) == 5000
    assert sink.requests == 5


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "truncated"),
        (b"hello", "thrift"),
        (packets.packet(ONE)[:-20], "truncated"),
        (packets.packet(packets.batch(packets.span(operation_name=None))), "missing-field"),
        (b"\x82\x81\x00\x09emitBatch" + b"\xfc" * 60_000, "limit"),
    ],
    ids=["empty", "text", "cut", "missing", "nested"],
)
def test_bad_packets_are_counted_and_the_next_is_read(
    start: Start, sink: OtlpReceiver, data: bytes, reason: str
) -> None:
    agent = start()
    send_udp(agent, data)
    send_udp(agent, packets.packet(ONE))
    assert sink.wait_for_spans(1)
    assert metric(agent, "refused_total", way="compact", reason=reason) == 1


def test_spans_with_zero_ids_are_refused_alone(start: Start, sink: OtlpReceiver) -> None:
    agent = start()
    send_udp(agent, packets.packet(packets.batch(packets.span(span_id=0), packets.span())))
    assert sink.wait_for_spans(1)
    assert metric(agent, "refused_spans_total") == 1


def test_bad_packets_make_one_line_of_log_a_minute(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    agent = start()
    with caplog.at_level(logging.WARNING):
        for _ in range(50):
            send_udp(agent, b"secret-in-a-bad-packet")
        wait_until(lambda: sum(agent.intake.counts.refused_batches.values()) == 50)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["refused: 1 x compact thrift (the last from 127.0.0.1)"]
