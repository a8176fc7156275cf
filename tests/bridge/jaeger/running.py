"""What the tests ask of a running agent."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable
from contextlib import closing
from typing import Any

from bridge.jaeger.agent import PORTS, Agent
from tests.bridge.jaeger import packets

TYPE = {"Content-Type": "application/vnd.apache.thrift.binary"}
FREE: dict[str, int | None] = dict.fromkeys(PORTS, 0)
Start = Callable[..., Agent]


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
