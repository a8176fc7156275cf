"""Workers share a stock under a lock, a leader sets its price: `python -m samples.locks`."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from opentelemetry import trace

from bridge.adapters.etcd import Election, EtcdConnection, EtcdStore, Event, Lock, Watch
from samples import servers, tree
from samples.locks.stock import Pricer, StaleToken, Stock, pick

tracer = trace.get_tracer("samples.locks")


def main() -> None:
    spans = tree.record("locks")
    client, peer = servers.free_ports(2)

    def command(program: str) -> list[str]:
        ours, others = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
        listen = ["--listen-client-urls", ours, "--advertise-client-urls", ours]
        cluster = ["--listen-peer-urls", others, "--initial-advertise-peer-urls", others]
        return [program, *listen, *cluster, "--initial-cluster", f"default={others}"]

    def ready(is_local: bool) -> bool:
        return servers.answers(f"http://{address(is_local)}/health", "true")

    def address(is_local: bool) -> str:
        return f"127.0.0.1:{client if is_local else 2379}"

    print("Starting etcd...")
    with (
        servers.server(Path(__file__).parent, "etcd", command, ready) as is_local,
        EtcdConnection([address(is_local)]) as connection,
    ):
        share_a_stock(connection)
        lose_the_lock(connection)
        lead_in_turn(connection)
    print("\nThe traces (a root with <- is background work, linked to the span that began it):\n")
    tree.show(spans)


def share_a_stock(connection: EtcdConnection) -> None:
    print("Three workers take from one stock, one at a time:")
    stock = Stock(10)
    workers = [
        threading.Thread(target=pick, args=(connection, stock, f"worker {number}"))
        for number in range(1, 4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def lose_the_lock(connection: EtcdConnection) -> None:
    print("An operator deletes the key of a held lock; its holder does not know and writes:")
    stock = Stock(10)
    with tracer.start_as_current_span("pick, slowly"), Lock(connection, "locks/stock") as lock:
        EtcdStore(connection).delete("locks/stock/", prefix=True)
        other = threading.Thread(target=pick, args=(connection, stock, "worker 2"))
        other.start()
        other.join()
        try:
            stock.take(1, lock.fencing_token)
        except StaleToken:
            print("  worker 1: refused, its fencing token is older than worker 2's")


def lead_in_turn(connection: EtcdConnection) -> None:
    print("Two candidates; the leader sets the price, a shop watches it:")
    prices: list[str] = []

    def price_changed(event: Event) -> None:
        if event.entry is not None:
            print(f"  shop: the price is now {event.entry.text}")
            prices.append(event.entry.text)

    with tracer.start_as_current_span("start of shop"):
        watch = Watch(connection, "config/price", price_changed)
    first = Pricer(connection, "anna", "10 EUR")
    until(lambda: "10 EUR" in prices)
    second = Pricer(connection, "ben", "12 EUR")
    leader = Election(connection, "elections/prices").leader()
    print(f"  everyone: the leader is {leader.text if leader else 'nobody'}")
    first.close()
    until(lambda: "12 EUR" in prices)
    second.close()
    watch.close()


def until(condition) -> None:
    while not condition():
        time.sleep(0.05)


if __name__ == "__main__":
    main()
