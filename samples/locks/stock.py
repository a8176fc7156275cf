"""What the lock guards: a stock that refuses the write of a holder whose turn is over."""

from __future__ import annotations

import threading

from opentelemetry import trace

from bridge.adapters.etcd import Election, EtcdConnection, EtcdStore, Lock

tracer = trace.get_tracer("samples.locks")


class StaleToken(Exception):
    """Somebody else has held the lock since."""


class Stock:
    """Stands for a database: a write with an older fencing token than it has seen is refused."""

    def __init__(self, items: int) -> None:
        self.items = items
        self._newest = 0

    def take(self, count: int, fencing_token: int) -> int:
        with tracer.start_as_current_span("take from stock"):
            if fencing_token < self._newest:
                raise StaleToken("the lock has had another holder since")
            self._newest = fencing_token
            self.items -= count
            return self.items


def pick(connection: EtcdConnection, stock: Stock, worker: str) -> None:
    """One order: takes an item under the lock."""
    with (
        tracer.start_as_current_span("pick", attributes={"worker": worker}),
        Lock(connection, "locks/stock") as lock,
    ):
        left = stock.take(1, lock.fencing_token)
        print(f"  {worker}: took one, {left} left")


class Pricer:
    """A candidate: it sets the price once it leads, and until it is told to end."""

    def __init__(self, connection: EtcdConnection, name: str, price: str) -> None:
        self._connection = connection
        self._name = name
        self._price = price
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name)
        self._thread.start()

    def _run(self) -> None:
        with (
            tracer.start_as_current_span("set prices", attributes={"worker": self._name}),
            Election(self._connection, "elections/prices") as election,
        ):
            term = election.campaign(self._name)
            print(f"  {self._name}: leads, in term {term}")
            EtcdStore(self._connection).put("config/price", self._price)
            self._end.wait()

    def close(self) -> None:
        self._end.set()
        self._thread.join()
