"""Consul's rows of `make bench-adapters`."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import consul as pyconsul
from opentelemetry import propagate
from opentelemetry.trace import SpanKind

from benchmarks.adapters import Row, beside, percentiles, provider
from bridge.adapters.consul import ConfigStore, ConsulConnection, ConsulSettings
from tests.servers import consul

KEY = "bench/key"
# What our span of a get says, before and after the call.
ASKED = {
    "db.system.name": "consul", "db.operation.name": "get", "consul.key": "bench/",
    "server.address": "127.0.0.1", "server.port": 8500,
}  # fmt: skip
ANSWERED = {"db.response.status_code": "200", "consul.index": 15, "consul.found": True}
CHANGES = 200
CACHED_READS = 1_000_000
CACHED_GOAL = 2.0  # us


def rows(rounds: int) -> Iterator[Row]:
    with consul.dev() as agent:
        settings = ConsulSettings(port=agent.port)
        with ConsulConnection(settings, tracer_provider=provider()) as connection:
            store = ConfigStore(connection)
            store.put(KEY, "value")
            yield from _calls(agent.port, store, rounds)
            yield from percentiles("consul watch latency", list(_watch(store)))
            yield _cached(store)


def _calls(port: int, store: ConfigStore, rounds: int) -> Iterator[Row]:
    bare = pyconsul.Consul(port=port)
    tracer = provider().get_tracer("bench")

    def get() -> object:
        return bare.kv.get(KEY)

    def by_hand() -> None:
        with tracer.start_as_current_span(
            "get bench/", kind=SpanKind.CLIENT, attributes=ASKED
        ) as it:
            propagate.inject({})
            get()
            it.set_attributes(ANSWERED)

    def traced() -> object:
        return store.get(KEY)

    yield from beside("consul get", get, traced, rounds, by_hand=by_hand)
    yield from beside(
        "consul put", lambda: bare.kv.put(KEY, "v"), lambda: store.put(KEY, "v"), rounds
    )
    bare.http.session.trust_env = False
    name = "consul get, no proxy lookup on either side"
    yield from beside(name, get, traced, rounds, by_hand=by_hand, goals=False)


def _watch(store: ConfigStore) -> Iterator[float]:
    """Seconds from the return of a put to the callback that sees it."""
    arrived = threading.Event()
    seen: list[float] = []

    def callback(event: object) -> None:
        seen.append(time.perf_counter())
        arrived.set()

    with store.watch(KEY, callback):
        arrived.wait(5)
        for number in range(CHANGES):
            time.sleep(0.05)
            arrived.clear()
            began = time.perf_counter()
            store.put(KEY, str(number))
            arrived.wait(5)
            yield seen[-1] - began


def _cached(store: ConfigStore) -> Row:
    with store.cache("bench/") as cache:
        cache.wait(5)
        began = time.perf_counter()
        for _ in range(CACHED_READS):
            cache.get(KEY)
        spent = time.perf_counter() - began
        return Row("consul cached read", spent / CACHED_READS * 1e6, "us", CACHED_GOAL)
