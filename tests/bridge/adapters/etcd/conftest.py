"""A real etcd for every test module, and a connection to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bridge.adapters.etcd import EtcdConnection
from tests.servers.etcd import Etcd, one_etcd
from tests.servers.watchers import Telemetry

Connect = Callable[..., EtcdConnection]


@pytest.fixture(scope="module")
def shared_etcd() -> Iterator[Etcd]:
    """For tests that only use it, each with keys of its own."""
    with one_etcd() as server:
        yield server


@pytest.fixture
def own_etcd() -> Iterator[Etcd]:
    """For tests that break it."""
    with one_etcd() as server:
        yield server


@pytest.fixture
def connect(telemetry: Telemetry) -> Iterator[Connect]:
    """Makes connections whose telemetry is recorded; closed at the end of the test."""
    made: list[EtcdConnection] = []

    def open_connection(*addresses: str, **settings: object) -> EtcdConnection:
        connection = EtcdConnection(
            addresses,
            tracer_provider=telemetry.tracer_provider,
            meter_provider=telemetry.meter_provider,
            **settings,  # type: ignore[arg-type]
        )
        made.append(connection)
        return connection

    yield open_connection
    for connection in made:
        connection.close()


@pytest.fixture
def etcd(shared_etcd: Etcd, connect: Connect) -> EtcdConnection:
    return connect(shared_etcd.address)
