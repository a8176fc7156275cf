"""A service without a password of its own, by OpenBao and PostgreSQL: `python -m samples.secrets`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import hvac
import psycopg
from opentelemetry import trace

from bridge.adapters.vault import VaultConnection
from samples import servers, tree
from samples.secrets import database
from samples.secrets.setup import set_up
from samples.secrets.shop import Shop

HERE = Path(__file__).parent
ROOT_TOKEN = "root-of-this-sample"
SECONDS = 8.0

tracer = trace.get_tracer("samples.secrets")


def main() -> None:
    spans = tree.record("secrets")
    vault_port, database_port = servers.free_ports(2)

    def vault_at(is_local: bool) -> str:
        return f"http://127.0.0.1:{vault_port if is_local else 8200}"

    def vault_command(program: str) -> list[str]:
        address = f"127.0.0.1:{vault_port}"
        dev = ["-dev", "-dev-no-store-token", f"-dev-root-token-id={ROOT_TOKEN}"]
        return [program, "server", *dev, f"-dev-listen-address={address}"]

    def vault_ready(is_local: bool) -> bool:
        return servers.answers(f"{vault_at(is_local)}/v1/sys/health", '"sealed":false')

    def port_at(is_local: bool) -> int:
        return database_port if is_local else 5432

    print("Starting OpenBao and PostgreSQL...")
    with (
        tempfile.TemporaryDirectory() as home,
        servers.server(
            HERE,
            "postgres",
            lambda program: database.command(program, Path(home), database_port),
            lambda is_local: database_answers(port_at(is_local)),
        ) as database_is_local,
        servers.server(HERE, "bao", vault_command, vault_ready) as vault_is_local,
    ):
        play(vault_at(vault_is_local), port_at(database_is_local))
    print("\nThe traces (a root with <- is background work, linked to the span that began it):\n")
    tree.show(spans)


def play(vault_url: str, database_port: int) -> None:
    with tree.quiet():
        root = hvac.Client(vault_url, token=ROOT_TOKEN)
        login = set_up(root, database_port, database.PASSWORD)
    with tracer.start_as_current_span("start of shop"):
        vault = VaultConnection(vault_url, auth=login)
        shop = Shop(vault, database_port)
    print(f"  shop: has {shop.payment!r} and {shop.credentials.current!r}")
    print(f"It queries for {SECONDS:.0f} s; no database user lives longer than 6:")
    try:
        shop.sell(SECONDS)
        print(f"  shop: {shop.queries} queries, none failed")
    finally:
        with tracer.start_as_current_span("end of shop"):
            shop.close()
            vault.close()


def database_answers(port: int) -> bool:
    try:
        psycopg.connect(
            host="127.0.0.1",
            port=port,
            dbname="postgres",
            user="postgres",
            password=database.PASSWORD,
            connect_timeout=2,
        ).close()
    except psycopg.OperationalError:
        return False
    return True


if __name__ == "__main__":
    main()
