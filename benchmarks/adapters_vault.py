"""Vault's rows of `make bench-adapters`: against the bare hvac client, on OpenBao."""

from __future__ import annotations

from collections.abc import Iterator

from opentelemetry import propagate
from opentelemetry.trace import SpanKind

from benchmarks.adapters import Row, beside, provider
from bridge.adapters.vault import SecretStore, VaultConnection
from tests.servers import openbao

PATH = "shop/bench"
# What our span of a read says.
ASKED = {
    "vault.operation": "read", "vault.mount": "secret", "vault.engine": "kv2",
    "service.peer.name": "vault", "server.address": "127.0.0.1", "server.port": 8200,
}  # fmt: skip


def rows(rounds: int) -> Iterator[Row]:
    with (
        openbao.one_openbao() as server,
        VaultConnection(
            server.url, token=openbao.ROOT_TOKEN, tracer_provider=provider()
        ) as connection,
    ):
        store = SecretStore(connection)
        store.write(PATH, {"key": "value"})
        bare = server.root()

        def read() -> object:
            return bare.secrets.kv.v2.read_secret_version(PATH, raise_on_deleted_version=True)

        tracer = provider().get_tracer("bench")

        def by_hand() -> None:
            with tracer.start_as_current_span(
                "read secret", kind=SpanKind.CLIENT, attributes=ASKED
            ):
                propagate.inject({})
                read()

        def traced() -> object:
            return store.read(PATH)

        yield from beside("vault read", read, traced, rounds, by_hand=by_hand)
        bare.session.trust_env = False
        name = "vault read, no proxy lookup on either side"
        yield from beside(name, read, traced, rounds, by_hand=by_hand, goals=False)
