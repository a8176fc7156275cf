"""etcd's rows of `make bench-adapters`: against the bare stubs on channels of their own."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from aetcd import rpc
from opentelemetry import propagate
from opentelemetry.trace import SpanKind

from benchmarks.adapters import Row, beside, percentiles, provider
from bridge.adapters.etcd import EtcdConnection, EtcdStore, Lock, Watch
from bridge.adapters.etcd.cluster import CHANNEL_OPTIONS
from tests.servers import etcd

KEY = "bench/key"
# What our span of a get says, before and after the call.
ASKED = {
    "db.system.name": "etcd", "db.operation.name": "range", "etcd.key": "bench/",
    "server.address": "127.0.0.1", "server.port": 2379,
}  # fmt: skip
ANSWERED = {"db.response.status_code": "OK", "etcd.revision": 2, "etcd.found": True}
CHANGES = 200
TURNS = 50


def rows(rounds: int) -> Iterator[Row]:
    with (
        etcd.one_etcd() as server,
        grpc.insecure_channel(server.address) as channel,
        grpc.insecure_channel(server.address, CHANNEL_OPTIONS) as like_ours,
        EtcdConnection([server.address], tracer_provider=provider()) as connection,
    ):
        EtcdStore(connection).put(KEY, "value")
        yield from _calls("etcd", channel, EtcdStore(connection), rounds)
        name = "etcd, our channel's settings on either side,"
        yield from _calls(name, like_ours, EtcdStore(connection), rounds, goals=False)
        yield from percentiles("etcd watch latency", list(_watch(connection)))
        yield from _locks(channel, connection, rounds)


def _calls(
    name: str, channel: grpc.Channel, store: EtcdStore, rounds: int, *, goals: bool = True
) -> Iterator[Row]:
    kv: Any = rpc.KVStub(channel)
    key = KEY.encode()
    tracer = provider().get_tracer("bench")

    def get(metadata: tuple[tuple[str, str], ...] = ()) -> object:
        return kv.Range(rpc.RangeRequest(key=key), timeout=5, metadata=metadata)

    def put() -> object:
        return kv.Put(rpc.PutRequest(key=key, value=b"v"), timeout=5)

    def by_hand() -> None:
        with tracer.start_as_current_span(
            "range bench/", kind=SpanKind.CLIENT, attributes=ASKED
        ) as it:
            carrier: dict[str, str] = {}
            propagate.inject(carrier)
            get(tuple(carrier.items()))
            it.set_attributes(ANSWERED)

    yield from beside(
        f"{name} get", get, lambda: store.get(KEY), rounds, by_hand=by_hand, goals=goals
    )
    yield from beside(f"{name} put", put, lambda: store.put(KEY, "v"), rounds, goals=goals)


def _watch(connection: EtcdConnection) -> Iterator[float]:
    """Seconds from the return of a put to the callback that sees it; 0 when that was sooner."""
    arrived = threading.Event()
    seen: list[float] = []

    def callback(event: object) -> None:
        seen.append(time.perf_counter())
        arrived.set()

    store = EtcdStore(connection)
    with Watch(connection, KEY, callback):
        for number in range(CHANGES):
            time.sleep(0.02)
            arrived.clear()
            store.put(KEY, str(number))
            returned = time.perf_counter()
            arrived.wait(5)
            yield max(seen[-1] - returned, 0.0)


def _locks(channel: grpc.Channel, connection: EtcdConnection, rounds: int) -> Iterator[Row]:
    """Locks taken and given back per second, uncontended, and beside the same requests bare."""

    def ours() -> None:
        with Lock(connection, "locks/bench"):
            pass

    def bare() -> None:
        _bare_lock(channel)

    pairs = [(_per_second(bare), _per_second(ours)) for _ in range(max(rounds // 4, 3))]
    yield Row("etcd locks, the bare requests", statistics.median(b for b, _ in pairs), "1/s")
    yield Row("etcd locks, ours", statistics.median(o for _, o in pairs), "1/s")
    yield Row("etcd locks, ours / bare", statistics.median(o / b for b, o in pairs), "x")


def _per_second(turn: Callable[[], object]) -> float:
    began = time.perf_counter()
    for _ in range(TURNS):
        turn()
    return TURNS / (time.perf_counter() - began)


def _bare_lock(channel: grpc.Channel) -> None:
    """The recipe of etcd's Go client with nothing around it: no keepalive, no trace."""
    leases: Any = rpc.LeaseStub(channel)
    kv: Any = rpc.KVStub(channel)
    lease = leases.LeaseGrant(rpc.LeaseGrantRequest(TTL=10), timeout=5).ID
    key = f"locks/bare/{lease:x}".encode()
    put = rpc.RequestOp(request_put=rpc.PutRequest(key=key, lease=lease))
    first = rpc.RangeRequest(
        key=b"locks/bare/",
        range_end=b"locks/bare0",
        sort_target=rpc.RangeRequest.CREATE,
        sort_order=rpc.RangeRequest.ASCEND,
        limit=1,
    )
    free = rpc.Compare(
        key=key, target=rpc.Compare.CREATE, result=rpc.Compare.EQUAL, create_revision=0
    )
    look = rpc.RequestOp(request_range=first)
    entered = kv.Txn(rpc.TxnRequest(compare=[free], success=[put, look]), timeout=5)
    assert entered.responses[1].response_range.kvs[0].key == key
    leases.LeaseRevoke(rpc.LeaseRevokeRequest(ID=lease), timeout=5)
