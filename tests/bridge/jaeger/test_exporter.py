"""What leaves: batches, a sink that fails, and the drain at the end."""

from __future__ import annotations

import json
import time

from bridge.otlp.receiver import OtlpReceiver
from tests.bridge.jaeger import packets
from tests.bridge.jaeger.running import ONE, Start, metric, post, request, send_udp
from tests.servers.process import free_port, wait_until


def test_otlp_over_http(start: Start, sink: OtlpReceiver) -> None:
    send_udp(start(protocol="http"), packets.packet(ONE))
    assert sink.wait_for_spans(1)


def test_many_batches_leave_in_few_requests(start: Start, sink: OtlpReceiver) -> None:
    agent = start(batch_seconds=0.3)
    for _ in range(100):
        assert post(agent, packets.body(ONE)) == 202
    sink.wait_for_spans(100)
    assert sink.requests <= 20


def test_spans_wait_for_a_sink_that_comes_back(start: Start, sink: OtlpReceiver) -> None:
    down = True
    sink.fail = lambda: 503 if down else None
    agent = start()
    send_udp(agent, packets.packet(ONE))
    wait_until(lambda: metric(agent, "export_failing") == 1)
    status, health = request(agent, "admin", "GET", "/health")
    assert (status, json.loads(health)["export"]) == (200, "failing")
    down = False
    assert sink.wait_for_spans(1)
    wait_until(lambda: metric(agent, "export_failing") == 0)


def test_a_full_queue_drops_the_newest_and_counts(start: Start, sink: OtlpReceiver) -> None:
    sink.fail = lambda: 503
    agent = start(queue_bytes=4000, batch_spans=1)
    statuses = [post(agent, packets.body(ONE)) for _ in range(40)]
    assert statuses[0] == 202
    assert statuses[-1] == 503
    dropped = metric(agent, "dropped_spans_total")
    assert dropped == statuses.count(503)
    assert metric(agent, "queue_bytes") <= 4000
    sink.fail = lambda: None
    assert len(sink.wait_for_spans(40 - int(dropped))) == 40 - dropped


def test_what_the_sink_refuses_is_counted(start: Start, sink: OtlpReceiver) -> None:
    sink.fail = lambda: 400
    agent = start()
    send_udp(agent, packets.packet(ONE))
    wait_until(lambda: agent.exporter.sent.failed)
    assert metric(agent, "failed_spans_total", reason="refused") == 1


def test_what_is_too_large_for_the_sink_is_halved(start: Start, sink: OtlpReceiver) -> None:
    answers = iter([413, None, 413])
    sink.fail = lambda: next(answers, None)
    agent = start(protocol="http", batch_seconds=0.3)
    for _ in range(8):
        assert post(agent, packets.body(ONE)) == 202
    assert len(sink.wait_for_spans(8)) == 8
    assert sink.requests == 3
    assert not agent.exporter.sent.failed


def test_a_single_piece_that_is_too_large_is_counted(start: Start, sink: OtlpReceiver) -> None:
    sink.fail = lambda: 413
    agent = start(protocol="http")
    send_udp(agent, packets.packet(ONE))
    wait_until(lambda: agent.exporter.sent.failed)
    assert metric(agent, "failed_spans_total", reason="too-large") == 1


def test_a_request_is_given_up_after_its_patience(start: Start) -> None:
    agent = start(endpoint=f"http://127.0.0.1:{free_port()}", patience=0.5)
    send_udp(agent, packets.packet(ONE))
    wait_until(lambda: agent.exporter.sent.failed, 15)
    assert metric(agent, "failed_spans_total", reason="unavailable") == 1


def test_closing_sends_what_is_queued(start: Start, sink: OtlpReceiver) -> None:
    agent = start(batch_seconds=30)
    for _ in range(20):
        assert post(agent, packets.body(ONE)) == 202
        send_udp(agent, packets.packet(ONE))
    assert agent.close(10) is True
    assert len(sink.spans) == 40


def test_closing_with_a_dead_sink_ends_and_says_so(start: Start) -> None:
    agent = start(endpoint=f"http://127.0.0.1:{free_port()}")
    send_udp(agent, packets.packet(ONE))
    wait_until(lambda: agent.intake.counts.translated)
    began = time.monotonic()
    agent.close(0.5)
    assert time.monotonic() - began < 5
    assert sum(agent.exporter.sent.failed.values()) == 1
