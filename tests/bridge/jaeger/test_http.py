"""The HTTP server: what is taken, what is refused, and clients that behave badly."""

from __future__ import annotations

import gzip
import http.client
import socket
import time
from contextlib import closing

import pytest

from bridge.otlp.receiver import OtlpReceiver
from tests.bridge.jaeger import packets
from tests.bridge.jaeger.running import ONE, TYPE, Start, metric, post, request
from tests.servers.process import wait_until


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


def test_an_error_of_ours_is_answered_and_logged_once(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    agent = start()
    monkeypatch.setattr(agent.strategies, "of", lambda service: 1 / 0)
    for _ in range(5):
        assert request(agent, "sampling", "GET", "/sampling?service=x")[0] == 500
    assert metric(agent, "refused_total", way="sampling", reason="error") == 5
    assert len([record for record in caplog.records if record.exc_info]) == 1
