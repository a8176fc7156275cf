"""The service: reads a secret, and queries a database with credentials that come and go."""

from __future__ import annotations

import time

from opentelemetry import trace
from psycopg_pool import ConnectionPool

from bridge.adapters.vault import (
    Credentials,
    DynamicCredentials,
    SecretStore,
    VaultConnection,
    psycopg_pool_arguments,
)

tracer = trace.get_tracer("samples.secrets")


class Shop:
    """Holds no password of its own. `close()` revokes what Vault gave it."""

    def __init__(self, vault: VaultConnection, database_port: int) -> None:
        self.payment = SecretStore(vault).read("shop/payment")
        self.credentials = DynamicCredentials(vault, "shop", on_rotate=self.rotated)
        arguments = psycopg_pool_arguments(
            self.credentials, host="127.0.0.1", port=database_port, dbname="postgres"
        )
        self.pool = ConnectionPool(min_size=1, max_size=2, **arguments)
        self.queries = 0

    def rotated(self, credentials: Credentials) -> None:
        print(
            f"  shop: database user number {credentials.generation}, after {self.queries} queries"
        )

    def sell(self, seconds: float) -> None:
        """A query every 10 ms; the first that fails ends it."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            with self.pool.connection() as connection:
                connection.execute("select count(*) from pg_database")
            self.queries += 1
            time.sleep(0.01)

    def close(self) -> None:
        self.pool.close()
        self.credentials.close()
