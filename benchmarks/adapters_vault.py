"""Vault's rows of `make bench-adapters`: against the bare hvac client, on OpenBao."""

from __future__ import annotations

from collections.abc import Iterator

from opentelemetry.trace import SpanKind

from benchmarks.adapters import Row, beside, provider
from bridge.adapters.vault import SecretStore, VaultConnection
from tests.servers import openbao

PATH = "shop/bench"


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

        yield from beside("vault read", read, lambda: store.read(PATH), rounds, calls=100)
        # Our client does not look for proxies and .netrc; without that both sides do the same. The
        # SDK alone, a span written by hand around the bare call, is the floor.
        bare.session.trust_env = False
        tracer = provider().get_tracer("bench")

        def by_hand() -> None:
            with tracer.start_as_current_span("read", kind=SpanKind.CLIENT):
                read()

        for name, call in (
            ("vault read, no proxy lookup on either side", lambda: store.read(PATH)),
            ("the same, the SDK's span alone", by_hand),
        ):
            yield from beside(name, read, call, rounds, calls=100, goals=False)
