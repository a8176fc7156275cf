"""Dynamic credentials of a real PostgreSQL, made by a real OpenBao."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
from psycopg_pool import ConnectionPool
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Engine

from bridge.adapters.errors import AdapterError, InvalidRequest, ServerFailed
from bridge.adapters.redaction import Secret
from bridge.adapters.vault import (
    AppRole,
    DynamicCredentials,
    VaultConnection,
    psycopg_pool_arguments,
    use_with_sqlalchemy,
)
from bridge.adapters.worker import State
from tests.bridge.adapters.canaries import Canaries
from tests.bridge.adapters.vault.conftest import Connect
from tests.servers.faults import TcpProxy
from tests.servers.openbao import OpenBao
from tests.servers.postgres import PASSWORD, Postgres, one_postgres
from tests.servers.process import wait_until
from tests.servers.watchers import Telemetry, no_leftovers

CREATE = """
CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';
GRANT pg_read_all_data TO "{{name}}";
"""


MAY = """
path "database/creds/*" { capabilities = ["read"] }
path "sys/leases/*" { capabilities = ["update"] }
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with one_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def role(bao: OpenBao, postgres: Postgres) -> str:
    """Credentials that live 3 s, 8 s at the most."""
    configure(bao, postgres)
    return "short"


def configure(bao: OpenBao, postgres: Postgres) -> None:
    root = bao.root()
    root.sys.enable_secrets_engine("database")
    root.secrets.database.configure(
        "pg",
        plugin_name="postgresql-database-plugin",
        allowed_roles=["*"],
        connection_url="postgresql://{{username}}:{{password}}@127.0.0.1:"
        f"{postgres.port}/postgres?sslmode=disable",
        username="postgres",
        password=PASSWORD,
    )
    for name, ttl, longest in (("short", "3s", "8s"), ("long", "3s", "1h"), ("brief", "1s", "1h")):
        root.secrets.database.create_role(name, "pg", [CREATE], default_ttl=ttl, max_ttl=longest)


def login(postgres: Postgres, credentials: DynamicCredentials) -> psycopg.Connection:
    current = credentials.current
    return psycopg.connect(
        host="127.0.0.1",
        port=postgres.port,
        dbname="postgres",
        user=current.username.reveal(),
        password=current.password.reveal(),
    )


def roles(postgres: Postgres) -> int:
    """How many users of Vault's making there are."""
    with psycopg.connect(
        host="127.0.0.1", port=postgres.port, dbname="postgres", user="postgres", password=PASSWORD
    ) as admin:
        found = admin.execute("select count(*) from pg_roles where rolname like 'v-%'").fetchone()
    assert found
    return int(found[0])


def test_credentials_open_the_database(
    vault: VaultConnection, role: str, postgres: Postgres
) -> None:
    with DynamicCredentials(vault, role) as credentials:
        login(postgres, credentials).close()


def test_close_revokes_every_one_of_them(
    vault: VaultConnection, role: str, postgres: Postgres
) -> None:
    credentials = DynamicCredentials(vault, "long")
    credentials.rotate()
    assert roles(postgres) >= 2
    credentials.close()
    credentials.close()
    wait_until(lambda: roles(postgres) == 0, 15)


def test_a_renewed_lease_outlives_its_first_time(
    vault: VaultConnection, role: str, postgres: Postgres, telemetry: Telemetry
) -> None:
    with DynamicCredentials(vault, "long") as credentials:
        time.sleep(6)
        assert credentials.current.generation == 1
        login(postgres, credentials).close()
    assert sum(telemetry.metric("adapter.renewals").values()) >= 2


@pytest.fixture
def engine(postgres: Postgres) -> Iterator[Engine]:
    made = create_engine(
        f"postgresql+psycopg://127.0.0.1:{postgres.port}/postgres", pool_size=2, max_overflow=0
    )
    yield made
    made.dispose()


def test_no_query_fails_over_several_rotations_sqlalchemy(
    vault: VaultConnection, role: str, engine: Engine
) -> None:
    rotations: list[int] = []
    with DynamicCredentials(
        vault, role, on_rotate=lambda new: rotations.append(new.generation)
    ) as credentials:
        use_with_sqlalchemy(engine, credentials)
        queries = 0
        ends = time.monotonic() + 16
        while time.monotonic() < ends:
            with engine.connect() as connection:
                connection.execute(text("select * from pg_database"))
            queries += 1
            time.sleep(0.01)
    assert len(rotations) >= 2
    assert queries > 300


def test_no_query_fails_over_several_rotations_psycopg_pool(
    vault: VaultConnection, role: str, postgres: Postgres
) -> None:
    with DynamicCredentials(vault, role) as credentials:
        arguments = psycopg_pool_arguments(
            credentials, host="127.0.0.1", port=postgres.port, dbname="postgres"
        )
        with ConnectionPool(min_size=1, max_size=2, **arguments) as pool:
            ends = time.monotonic() + 9
            while time.monotonic() < ends:
                with pool.connection() as connection:
                    connection.execute("select * from pg_database")
                time.sleep(0.01)
        assert credentials.current.generation >= 2


def test_revoked_credentials_are_replaced_and_the_engine_reconnects(
    bao: OpenBao, vault: VaultConnection, role: str, engine: Engine
) -> None:
    rotated = threading.Event()
    with DynamicCredentials(vault, "long", on_rotate=lambda new: rotated.set()) as credentials:
        use_with_sqlalchemy(engine, credentials)
        with engine.connect() as connection:
            connection.execute(text("select 1"))
        bao.root().sys.revoke_prefix("database/creds/long")
        assert rotated.wait(10)
        with engine.connect() as connection:
            connection.execute(text("select * from pg_database"))


@pytest.fixture(scope="module")
def shop(bao: OpenBao, role: str) -> AppRole:
    """A login whose tokens live 3 s, 6 s at the most."""
    root = bao.root()
    root.sys.create_or_update_policy("shop", MAY)
    root.sys.enable_auth_method("approle", path="shops")
    root.auth.approle.create_or_update_approle(
        "shop", token_policies=["shop"], token_ttl="3s", token_max_ttl="6s", mount_point="shops"
    )
    found = root.auth.approle.read_role_id("shop", mount_point="shops")
    secret = root.auth.approle.generate_secret_id("shop", mount_point="shops")
    return AppRole(found["data"]["role_id"], Secret(secret["data"]["secret_id"]), mount="shops")


def test_no_query_fails_when_the_token_that_took_the_lease_ends(
    bao: OpenBao, shop: AppRole, connect: Connect, engine: Engine
) -> None:
    vault = connect(bao, auth=shop)
    with DynamicCredentials(vault, "long") as credentials:
        use_with_sqlalchemy(engine, credentials)
        ends = time.monotonic() + 13
        while time.monotonic() < ends:
            with engine.connect() as connection:
                connection.execute(text("select * from pg_database"))
            time.sleep(0.01)
        assert credentials.current.generation >= 3
    assert vault.logins >= 3


def test_a_revoked_token_takes_the_leases_along_and_new_ones_come(
    bao: OpenBao, shop: AppRole, connect: Connect, postgres: Postgres
) -> None:
    vault = connect(bao, auth=shop)
    with DynamicCredentials(vault, "long") as credentials:
        wait_until(lambda: roles(postgres) == 1)
        bao.root().auth.token.revoke(vault.client.token)
        wait_until(lambda: credentials.current.generation > 1, 10)
        login(postgres, credentials).close()
        wait_until(lambda: roles(postgres) == 1)


def test_a_vault_that_hangs_is_waited_for(own_bao: OpenBao, connect: Connect) -> None:
    with one_postgres() as server:
        configure(own_bao, server)
        vault = connect(own_bao, timeout=0.5)
        with DynamicCredentials(vault, "long") as credentials:
            own_bao.pause()
            wait_until(lambda: credentials.state.value == "lost", 10)
            own_bao.resume()
            wait_until(lambda: credentials.state.value == "up", 15)
            login(server, credentials).close()


def test_an_unknown_role_is_refused(vault: VaultConnection, role: str) -> None:
    with pytest.raises((InvalidRequest, ServerFailed)):
        DynamicCredentials(vault, "nobody")


def test_a_database_that_is_down_is_an_error_and_then_not(
    own_bao: OpenBao, connect: Connect
) -> None:
    with one_postgres() as server:
        configure(own_bao, server)
        vault = connect(own_bao)
        with DynamicCredentials(vault, "short") as credentials:
            server.stop()
            with pytest.raises(AdapterError):
                credentials.rotate()
            wait_until(lambda: credentials.state.value == "lost", 15)
            server.start()
            wait_until(lambda: credentials.state.value == "up", 20)
            login(server, credentials).close()


def test_user_password_and_lease_are_looked_for_in_telemetry(
    vault: VaultConnection, role: str, postgres: Postgres, canaries: Canaries
) -> None:
    with DynamicCredentials(vault, role) as credentials:
        current, rotated = credentials.current, credentials.rotate()
        for secret in (current.username, current.password, rotated.username, rotated.password):
            assert canaries.knows(secret.reveal())
        assert canaries.knows(credentials._lease.id)
        assert rotated.password.reveal() not in repr(rotated)


def test_twenty_flaps_leave_no_thread_socket_or_lease(
    bao: OpenBao, shop: AppRole, postgres: Postgres
) -> None:
    with (
        no_leftovers(),
        TcpProxy(bao.port) as proxy,
        VaultConnection(f"http://127.0.0.1:{proxy.port}", auth=shop, timeout=0.5) as vault,
        DynamicCredentials(vault, "brief") as credentials,
    ):
        for number in range(20):
            (proxy.refuse, proxy.silence)[number % 2]()
            wait_until(lambda: credentials.state is State.LOST)
            proxy.heal()
            wait_until(lambda: credentials.state is State.UP)
        login(postgres, credentials).close()
        threads = [t.name for t in threading.enumerate() if t.name.startswith("vault ")]
        assert sorted(threads) == ["vault credentials", "vault token"]
    wait_until(lambda: roles(postgres) == 0, 15)
    leases = bao.root().list("sys/leases/lookup/database/creds/brief")
    assert leases is None


def test_nothing_is_left_after_close(bao: OpenBao, vault: VaultConnection, role: str) -> None:
    with no_leftovers(), DynamicCredentials(vault, role):
        time.sleep(0.5)
