"""The agent as a whole: real sockets in, a real OTLP receiver or Jaeger out."""

from __future__ import annotations

import json
import re
import socket
import time
import urllib.request

import pytest
from jaeger_client import Config

from bridge.jaeger.agent import PORTS, CannotListen
from bridge.otlp.receiver import OtlpReceiver
from tests.bridge.jaeger import packets
from tests.bridge.jaeger.running import FREE, ONE, Start, metric, post, request, send_udp
from tests.legacy import needs_jaeger_client
from tests.servers.jaeger import Jaeger
from tests.servers.process import wait_until


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


@needs_jaeger_client
@pytest.mark.usefixtures("current_loop")
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
