"""The agent as a whole: real sockets in, a real OTLP receiver out, faults between."""

from __future__ import annotations

import gzip
import http.client
import json
import logging
import re
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import prometheus_client.openmetrics.parser
import prometheus_client.parser
import pytest
from jaeger_client import Config

from bridge.jaeger.agent import PORTS, Agent, CannotListen, Options
from bridge.otlp.receiver import OtlpReceiver
from bridge.otlp.settings import Signal, read_settings
from tests.bridge.jaeger import packets
from tests.servers.jaeger import Jaeger
from tests.servers.process import free_port, wait_until

TYPE = {"Content-Type": "application/vnd.apache.thrift.binary"}
FREE: dict[str, int | None] = dict.fromkeys(PORTS, 0)
Start = Callable[..., Agent]


@pytest.fixture(scope="module")
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture
def sink(receiver: OtlpReceiver) -> OtlpReceiver:
    receiver.fail = lambda: None
    receiver.clear()
    return receiver


@pytest.fixture
def start(sink: OtlpReceiver) -> Iterator[Start]:
    running: list[Agent] = []

    def start(endpoint: str | None = None, protocol: str = "grpc", **chosen: Any) -> Agent:
        usual = sink.grpc_endpoint if protocol == "grpc" else sink.http_endpoint
        settings = read_settings(
            Signal.TRACES, endpoint=endpoint or usual, protocol=protocol, timeout=2, environ={}
        )
        chosen = {"ports": FREE, "batch_seconds": 0.02, **chosen}
        running.append(Agent(Options(destination=settings, **chosen)))
        return running[-1]

    yield start
    for agent in running:
        agent.close(0.2)


def send_udp(agent: Agent, data: bytes, way: str = "compact") -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(data, ("127.0.0.1", agent.ports[way]))


def request(
    agent: Agent, name: str, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, bytes]:
    client = http.client.HTTPConnection("127.0.0.1", agent.ports[name], timeout=5)
    with closing(client):
        client.request(method, path, body, headers)
        answer = client.getresponse()
        return answer.status, answer.read()


def post(agent: Agent, body: bytes, **headers: str) -> int:
    headers = {"Content-Type": TYPE["Content-Type"], **headers}
    return request(agent, "http", "POST", "/api/traces", body, **headers)[0]


def metric(agent: Agent, name: str, **labels: str) -> float:
    text = request(agent, "admin", "GET", "/metrics")[1].decode()
    for line in text.splitlines():
        if line.startswith(f"jaeger2otlp_agent_{name}") and all(
            f'{key}="{value}"' in line for key, value in labels.items()
        ):
            return float(line.rsplit(" ", 1)[1])
    raise AssertionError(f"no {name} {labels} in\n{text}")


ONE = packets.batch(
    packets.span({"k": "v"}), of=packets.process("shop", {"jaeger.version": "Python-4.8.0"})
)


# Ways in and out


@pytest.mark.parametrize("way", ["compact", "binary"])
def test_udp(start: Start, sink: OtlpReceiver, way: str) -> None:
    agent = start()
    send_udp(agent, packets.packet(ONE, way), way)
    (span,) = sink.wait_for_spans(1)
    assert span.name == "op"
    assert metric(agent, "received_spans_total", way=way) == 1
    assert metric(agent, "translated_spans_total") == 1
    wait_until(lambda: metric(agent, "exported_spans_total") == 1)


def test_the_zipkin_port_takes_jaeger_batches_as_the_old_agent_did(
    start: Start, sink: OtlpReceiver
) -> None:
    send_udp(start(), packets.packet(ONE), "zipkin")
    assert sink.wait_for_spans(1)


def test_zipkin_spans_are_refused_and_counted(start: Start) -> None:
    agent = start()
    send_udp(agent, packets.zipkin_packet(), "zipkin")
    wait_until(lambda: agent.intake.counts.refused_batches)
    assert metric(agent, "refused_total", way="zipkin", reason="zipkin") == 1


@pytest.mark.parametrize(
    "kind", ["application/x-thrift", "application/vnd.apache.thrift.binary; charset=utf-8"]
)
def test_http(start: Start, sink: OtlpReceiver, kind: str) -> None:
    assert post(start(), packets.body(ONE), **{"Content-Type": kind}) == 202
    assert sink.wait_for_spans(1)


@pytest.mark.parametrize("encoding", ["gzip", "GZIP"])
def test_http_gzip(start: Start, sink: OtlpReceiver, encoding: str) -> None:
    body = gzip.compress(packets.body(ONE))
    assert post(start(), body, **{"Content-Encoding": encoding}) == 202
    assert sink.wait_for_spans(1)


def test_http_chunked(start: Start, sink: OtlpReceiver) -> None:
    body = packets.body(ONE)
    parts = iter([body[:10], body[10:]])
    status, _ = request(start(), "http", "POST", "/api/traces", parts, **TYPE)
    assert status == 202
    assert sink.wait_for_spans(1)


def test_http_connections_are_kept(start: Start, sink: OtlpReceiver) -> None:
    client = http.client.HTTPConnection("127.0.0.1", start().ports["http"], timeout=5)
    with closing(client):
        for _ in range(3):
            client.request("POST", "/api/traces", packets.body(ONE), TYPE)
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (202, b"")
    assert len(sink.wait_for_spans(3)) == 3


def test_otlp_over_http(start: Start, sink: OtlpReceiver) -> None:
    send_udp(start(protocol="http"), packets.packet(ONE))
    assert sink.wait_for_spans(1)


def test_many_batches_leave_in_few_requests(start: Start, sink: OtlpReceiver) -> None:
    agent = start(batch_seconds=0.3)
    for _ in range(100):
        assert post(agent, packets.body(ONE)) == 202
    sink.wait_for_spans(100)
    assert sink.requests <= 20


def test_a_large_http_batch_is_cut(start: Start, sink: OtlpReceiver) -> None:
    spans = [packets.span({"k": "v" * 100}, span_id=number) for number in range(1, 5001)]
    agent = start(batch_spans=1000)
    assert post(agent, packets.body(packets.batch(*spans))) == 202
    assert len(sink.wait_for_spans(5000)) == 5000
    assert sink.requests == 5


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_real_jaeger_shows_what_jaeger_client_sent(start: Start, protocol: str) -> None:
    with Jaeger() as jaeger:
        grpc, http = jaeger.otlp_grpc_endpoint, jaeger.otlp_http_endpoint
        agent = start(endpoint=grpc if protocol == "grpc" else http, protocol=protocol)
        config = {
            "sampler": {"type": "const", "param": 1},
            "local_agent": {"reporting_port": agent.ports["compact"]},
        }
        tracer = Config(config, service_name="client").new_tracer()
        with tracer.start_active_span("outer"), tracer.start_active_span("inner") as scope:
            scope.span.set_tag("error", True)
        spans = jaeger.wait_for_spans("client", 2)
        tracer.close()
    assert {span["operationName"] for span in spans} == {"outer", "inner"}


# Bad input


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


BOMB = gzip.compress(bytes(64 * 1024 * 1024))


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "reason"),
    [
        ("POST", "/api/traces", b"x", TYPE, 400, "truncated"),
        ("POST", "/api/traces", b"{}", {"Content-Type": "application/json"}, 415, "content-type"),
        ("POST", "/api/traces", b"x", {}, 415, "content-type"),
        ("POST", "/api/traces", BOMB, {**TYPE, "Content-Encoding": "gzip"}, 413, "too-large"),
        ("POST", "/api/traces", b"no", {**TYPE, "Content-Encoding": "gzip"}, 400, "encoding"),
        ("POST", "/api/traces", b"no", {**TYPE, "Content-Encoding": "br"}, 415, "encoding"),
        ("POST", "/api/traces", b"", {**TYPE, "Content-Length": "9" * 8}, 413, "too-large"),
        ("POST", "/api/traces", b"", {**TYPE, "Content-Length": "-5"}, 400, "http"),
        ("POST", "/api/traces", b"", {**TYPE, "Content-Length": "x"}, 400, "http"),
        ("GET", "/api/traces", None, {}, 405, "method"),
        ("POST", "/elsewhere", b"x", TYPE, 404, "path"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_requests(
    start: Start,
    method: str,
    path: str,
    body: bytes | None,
    headers: dict[str, str],
    status: int,
    reason: str,
) -> None:
    agent = start()
    assert request(agent, "http", method, path, body, **headers)[0] == status
    assert metric(agent, "refused_total", way="http", reason=reason) == 1


@pytest.mark.parametrize(
    "text",
    [
        b"\x00\xff" * 200 + b"\r\n\r\n",
        b"POST /api/traces HTTP/9.9\r\n\r\n",
        b"GET " + b"x" * 100_000,
        b"POST /api/traces HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Type: application/x-thrift\r\n\r\n-5\r\n",
        b"POST http://[ HTTP/1.1\r\n\r\n",
    ],
    ids=["binary", "version", "long", "chunk", "url"],
)
def test_what_is_hardly_http(start: Start, sink: OtlpReceiver, text: bytes) -> None:
    agent = start()
    with socket.create_connection(("127.0.0.1", agent.ports["http"]), timeout=5) as client:
        client.sendall(text)
        client.shutdown(socket.SHUT_WR)
        while client.recv(65_536):
            pass
    assert metric(agent, "refused_total", way="http") == 1
    assert post(agent, packets.body(ONE)) == 202


def test_slow_clients_are_ended(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.jaeger.http.IDLE_SECONDS", 0.3)
    monkeypatch.setattr("bridge.jaeger.http.REQUEST_SECONDS", 0.3)
    agent = start()
    head = b"POST /api/traces HTTP/1.1\r\nContent-Type: application/x-thrift\r\n"
    for text in (b"", b"PO", head, head + b"Content-Length: 100\r\n\r\nabc"):
        with socket.create_connection(("127.0.0.1", agent.ports["http"]), timeout=5) as client:
            client.sendall(text)
            began = time.monotonic()
            while client.recv(4096):
                pass
            assert time.monotonic() - began < 2
    assert post(agent, packets.body(ONE)) == 202


def test_connections_are_bounded(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.jaeger.http.MAX_CONNECTIONS", 3)
    agent = start()
    address = ("127.0.0.1", agent.ports["http"])
    held = [socket.create_connection(address, timeout=5) for _ in range(3)]
    wait_until(lambda: len(agent.http["http"]._clients) == 3)
    with socket.create_connection(address, timeout=5) as refused:
        assert refused.recv(10) == b""
    for client in held:
        client.close()
    wait_until(lambda: not agent.http["http"]._clients)
    assert post(agent, packets.body(ONE)) == 202
    assert metric(agent, "refused_total", way="http", reason="connections") == 1


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


# A sink that fails


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


# Admin port


def test_the_inventory_says_who_still_sends(start: Start, sink: OtlpReceiver) -> None:
    agent = start()
    for _ in range(3):
        post(agent, packets.body(ONE))
    send_udp(agent, packets.packet(packets.batch(packets.span(), of=packets.process("old"))))
    sink.wait_for_spans(4)
    status, body = request(agent, "admin", "GET", "/inventory")
    first, second = json.loads(body)
    assert status == 200
    assert (first["service"], first["client"]) == ("shop", "jaeger Python-4.8.0")
    assert (first["host"], first["transport"]) == ("127.0.0.1", "http")
    assert (first["spans"], first["batches"]) == (3, 3)
    assert first["first_seen"] <= first["last_seen"] <= time.time()
    assert (second["service"], second["client"]) == ("old", "unknown")
    assert metric(agent, "legacy_spans_total", service="shop", transport="http") == 3


def test_metrics_are_prometheus_text_or_openmetrics(start: Start) -> None:
    agent = start()
    assert (
        b"# TYPE jaeger2otlp_agent_queue_spans gauge"
        in request(agent, "admin", "GET", "/metrics")[1]
    )
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    assert request(agent, "admin", "GET", "/metrics", **accept)[1].endswith(b"# EOF\n")


@pytest.mark.parametrize(
    ("accept", "parse"),
    [
        ("text/plain", prometheus_client.parser.text_string_to_metric_families),
        (
            "application/openmetrics-text; version=1.0.0",
            prometheus_client.openmetrics.parser.text_string_to_metric_families,
        ),
    ],
)
def test_a_strict_reader_understands_the_metrics(start: Start, accept: str, parse: Any) -> None:
    agent = start()
    post(agent, packets.body(ONE))
    post(agent, b"bad")
    text = request(agent, "admin", "GET", "/metrics", Accept=accept)[1].decode()
    families = list(parse(text))
    assert len(families) > 15
    assert all(family.documentation for family in families)


def test_an_odd_accept_header_gets_the_plain_text(start: Start) -> None:
    accept = {"Accept": "application/openmetrics-text; version=x"}
    status, body = request(start(), "admin", "GET", "/metrics", **accept)
    assert status == 200
    assert body.startswith(b"# HELP")


def test_an_error_of_ours_is_answered_and_logged_once(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    agent = start()
    monkeypatch.setattr(agent.strategies, "of", lambda service: 1 / 0)
    for _ in range(5):
        assert request(agent, "sampling", "GET", "/sampling?service=x")[0] == 500
    assert metric(agent, "refused_total", way="sampling", reason="error") == 5
    assert len([record for record in caplog.records if record.exc_info]) == 1


def test_the_receive_buffer_and_kernel_drops_are_told(start: Start) -> None:
    agent = start()
    assert metric(agent, "receive_buffer_bytes", way="compact") >= 100_000
    assert metric(agent, "kernel_dropped_packets_total", way="compact") == 0


# Start and end


def test_it_listens_on_loopback_only(start: Start) -> None:
    agent = start()
    assert all(port.socket.getsockname()[0] == "127.0.0.1" for port in agent.udp.ports)
    assert all(server.server_address[0] == "127.0.0.1" for server in agent.http.values())


def test_a_taken_port_is_named(start: Start) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        taken = other.getsockname()[1]
        with pytest.raises(CannotListen, match=re.escape(f"127.0.0.1:{taken}/udp (compact)")):
            start(ports={**FREE, "compact": taken})


def test_ports_may_be_off(start: Start) -> None:
    agent = start(ports={**dict.fromkeys(PORTS), "http": 0})
    assert set(agent.ports) == {"http"}


def test_ports_are_free_after_the_end(start: Start) -> None:
    first = start()
    ports: dict[str, int | None] = dict(first.ports)
    first.close(1)
    assert start(ports=ports).ports == ports


def test_the_sampling_port_answers_old_clients(start: Start) -> None:
    url = f"http://127.0.0.1:{start().ports['sampling']}"
    for path, kind in (("/sampling", "PROBABILISTIC"), ("/", 0)):
        with urllib.request.urlopen(f"{url}{path}?service=x") as answer:
            assert json.load(answer) == {
                "strategyType": kind,
                "probabilisticSampling": {"samplingRate": 0.001},
            }


@pytest.mark.parametrize("query", ["", "?service=a&service=b", "?services=a"])
def test_sampling_wants_one_service(start: Start, query: str) -> None:
    assert request(start(), "sampling", "GET", f"/sampling{query}")[0] == 400
