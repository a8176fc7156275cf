"""One Consul agent for the tests that do not break it, a connection to it, and a fresh prefix."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.adapters.consul import ConfigStore, ConsulConnection, ConsulSettings, ServiceRegistry
from tests.bridge.adapters.canaries import Canaries
from tests.servers import consul
from tests.servers.watchers import Telemetry

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def agent() -> Iterator[consul.Consul]:
    with consul.dev() as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
def no_token_leaks(canaries: Canaries) -> None:
    canaries.watch("the management token", consul.MANAGEMENT)


@pytest.fixture
def own_agent() -> Iterator[consul.Consul]:
    """An agent that the test may break; its log counts the requests."""
    with consul.dev(log_level="debug") as running:
        yield running


@pytest.fixture(scope="session")
def guarded(canaries: Canaries) -> Iterator[consul.Consul]:
    """An agent that denies by default, with a token (`reader`) that may only read config/."""
    rules = 'key_prefix "config/" { policy = "read" } service_prefix "" { policy = "read" }'
    with consul.with_acl() as agent:
        agent.api("PUT", "/v1/acl/policy", {"Name": "read", "Rules": rules}, consul.MANAGEMENT)
        made = agent.api(
            "PUT", "/v1/acl/token", {"Policies": [{"Name": "read"}]}, consul.MANAGEMENT
        )
        agent.reader = canaries.watch("an ACL token", made["SecretID"])
        canaries.watch("an ACL token's accessor", made["AccessorID"])
        yield agent


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Folders with a CA, a server's and a client's certificate: ours, and a stranger's."""
    folders = [tmp_path_factory.mktemp("ours"), tmp_path_factory.mktemp("stranger")]
    for folder in folders:
        consul.make_certificates(folder)
    return folders


@pytest.fixture(scope="session")
def tls_agent(certificates: list[Path]) -> Iterator[consul.Consul]:
    with consul.with_mtls(certificates[0]) as agent:
        yield agent


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
