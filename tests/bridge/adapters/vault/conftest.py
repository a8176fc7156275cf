"""A real OpenBao for every test module, and a connection to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bridge.adapters.vault import VaultConnection
from tests.bridge.adapters.canaries import Canaries
from tests.servers.openbao import ROOT_TOKEN, OpenBao, one_openbao
from tests.servers.postgres import PASSWORD
from tests.servers.watchers import Telemetry

Connect = Callable[..., VaultConnection]


@pytest.fixture(scope="session", autouse=True)
def no_token_leaks(canaries: Canaries) -> None:
    canaries.watch("the root token", ROOT_TOKEN)
    canaries.watch("the database's password", PASSWORD)


@pytest.fixture(scope="module")
def bao() -> Iterator[OpenBao]:
    """For tests that only use it, each with paths of its own."""
    with one_openbao() as server:
        yield server


@pytest.fixture
def own_bao() -> Iterator[OpenBao]:
    """For tests that break it."""
    with one_openbao() as server:
        yield server


@pytest.fixture
def connect(telemetry: Telemetry) -> Iterator[Connect]:
    """Makes connections whose telemetry is recorded; closed at the end of the test."""
    made: list[VaultConnection] = []

    def open_connection(server: OpenBao, **settings: object) -> VaultConnection:
        if "auth" not in settings:
            settings.setdefault("token", ROOT_TOKEN)
        connection = VaultConnection(
            server.url,
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
def vault(bao: OpenBao, connect: Connect) -> VaultConnection:
    return connect(bao)


def limited_token(server: OpenBao, rules: str, **options: object) -> str:
    """A token with a policy of its own."""
    root = server.root()
    name = f"policy-{abs(hash(rules))}"
    root.sys.create_or_update_policy(name, rules)
    answer = root.auth.token.create(policies=[name], no_default_policy=False, **options)
    return str(answer["auth"]["client_token"])
