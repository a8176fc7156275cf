"""A sink, and agents in this process that send to it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.jaeger.agent import Agent, Options
from bridge.otlp.receiver import OtlpReceiver
from bridge.otlp.settings import Signal, read_settings
from tests.bridge.jaeger.running import FREE, Start


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


@pytest.fixture
def current_loop() -> Iterator[None]:
    """jaeger_client makes tornado futures, which want a current loop; `asyncio.run` elsewhere in
    the process has taken it away."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()
