"""One Consul agent for the tests that do not break it, a connection to it, and a fresh prefix."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from bridge.adapters.consul import ConfigStore, ConsulConnection, ConsulSettings, ServiceRegistry
from tests.servers import consul
from tests.servers.watchers import Telemetry

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def agent() -> Iterator[consul.Consul]:
    with consul.dev() as running:
        yield running


@pytest.fixture
def own_agent() -> Iterator[consul.Consul]:
    """An agent that the test may break; its log counts the requests."""
    with consul.dev(log_level="debug") as running:
        yield running


@pytest.fixture
def connect(telemetry: Telemetry) -> Iterator[Callable[..., ConsulConnection]]:
    """`connect(port, wait=1, ...)`: connections that are closed when the test ends."""
    made: list[ConsulConnection] = []

    def connect(port: int, **settings: object) -> ConsulConnection:
        connection = ConsulConnection(
            ConsulSettings(port=port, **{"wait": 5.0, "timeout": 5.0, **settings}),
            tracer_provider=telemetry.tracer_provider,
            meter_provider=telemetry.meter_provider,
        )
        made.append(connection)
        return connection

    yield connect
    for connection in made:
        connection.close()


@pytest.fixture
def connection(agent: consul.Consul, connect: Callable[..., ConsulConnection]) -> ConsulConnection:
    return connect(agent.port)


@pytest.fixture
def store(connection: ConsulConnection) -> ConfigStore:
    return ConfigStore(connection)


@pytest.fixture
def registry(connection: ConsulConnection) -> ServiceRegistry:
    return ServiceRegistry(connection)


@pytest.fixture
def prefix() -> str:
    return f"test{next(_numbers)}/"


@pytest.fixture
def name() -> str:
    return f"shop{next(_numbers)}"
