"""Watches on a real etcd: every change once and in order, whatever happens to the server."""

from __future__ import annotations

import threading
import time

import pytest
from aetcd import rpc

from bridge.adapters.errors import Forbidden
from bridge.adapters.etcd import EtcdConnection, EtcdStore, Event, Put, Watch
from tests.bridge.adapters.canaries import Canaries
from tests.bridge.adapters.etcd.conftest import Connect
from tests.bridge.adapters.etcd.test_connection import guard
from tests.bridge.adapters.etcd.test_connection import guarded_etcd as guarded_etcd
from tests.servers.etcd import Etcd, three_etcds
from tests.servers.process import wait_until
from tests.servers.watchers import Telemetry, no_leftovers


class Seen(list[Event]):
    """Collects events; `short` says them in words."""

    @property
    def short(self) -> list[str]:
        return [f"-{e.key}" if e.entry is None else f"{e.key}={e.entry.text}" for e in self]

    def wait(self, count: int, seconds: float = 10) -> None:
        wait_until(lambda: len(self) >= count, seconds, f"{count} events, got {self.short}")


@pytest.fixture
def seen() -> Seen:
    return Seen()


def test_puts_and_deletes_arrive_in_order(etcd: EtcdConnection, seen: Seen) -> None:
    store = EtcdStore(etcd)
    store.put("watch/key", "0")
    with Watch(etcd, "watch/key", seen.append):
        store.put("watch/key", "1")
        store.delete("watch/key")
        store.put("watch/key", "2")
        store.put("watch/key2", "not this one")
        seen.wait(3)
    assert seen.short == ["watch/key=1", "-watch/key", "watch/key=2"]


def test_a_prefix_is_watched_with_its_transactions(etcd: EtcdConnection, seen: Seen) -> None:
    store = EtcdStore(etcd)
    with Watch(etcd, "tree/", seen.append, prefix=True):
        store.transaction([], [Put("tree/a", "1"), Put("tree/b", "2")])
        store.delete("tree/", prefix=True)
        seen.wait(4)
    assert seen.short == ["tree/a=1", "tree/b=2", "-tree/a", "-tree/b"]
    assert len({event.revision for event in seen[:2]}) == 1


def test_it_can_begin_in_the_past(etcd: EtcdConnection, seen: Seen) -> None:
    store = EtcdStore(etcd)
    revision = store.put("past/a", "1")
    store.put("past/a", "2")
    with Watch(etcd, "past/", seen.append, prefix=True, revision=revision):
        seen.wait(1)
    assert seen.short == ["past/a=2"]


def test_a_callback_that_raises_does_not_end_it(
    etcd: EtcdConnection, seen: Seen, canaries: Canaries
) -> None:
    secret = canaries.make("callback error")

    def callback(event: Event) -> None:
        seen.append(event)
        raise ValueError(secret)

    with Watch(etcd, "raise/", callback, prefix=True):
        EtcdStore(etcd).put("raise/a", "1")
        EtcdStore(etcd).put("raise/b", "2")
        seen.wait(2)


def test_each_event_is_a_root_span_linked_to_who_began_the_watch(
    etcd: EtcdConnection, seen: Seen, telemetry: Telemetry
) -> None:
    with telemetry.tracer.start_as_current_span("main") as main:
        watch = Watch(etcd, "spans/", seen.append, prefix=True)
    EtcdStore(etcd).put("spans/a", "1")
    seen.wait(1)
    watch.close()
    span = telemetry.span("etcd watch event")
    assert span.parent is None
    assert span.links[0].context.span_id == main.get_span_context().span_id
    assert sum(telemetry.metric("adapter.watch.lag").values()) == 1


def test_a_slow_callback_loses_nothing(etcd: EtcdConnection, seen: Seen) -> None:
    def slow(event: Event) -> None:
        time.sleep(0.002)
        seen.append(event)

    with Watch(etcd, "slow/", slow, prefix=True, queue_size=4):
        EtcdStore(etcd).put_many({f"slow/{n:03}": str(n) for n in range(300)})
        seen.wait(300)
    assert [event.key for event in seen] == [f"slow/{n:03}" for n in range(300)]


def test_nothing_is_lost_over_crashes(own_etcd: Etcd, connect: Connect, seen: Seen) -> None:
    writer = connect(own_etcd.address)
    with Watch(connect(own_etcd.address), "crash/", seen.append, prefix=True):
        for round_ in range(3):
            for number in range(10):
                EtcdStore(writer).put(f"crash/{round_}-{number}", "x")
            own_etcd.restart()
            wait_until(lambda: _up(writer), 10)
        EtcdStore(writer).put("crash/end", "x")
        seen.wait(31)
    assert [event.key for event in seen] == [
        *(f"crash/{round_}-{number}" for round_ in range(3) for number in range(10)),
        "crash/end",
    ]


def test_a_compaction_while_cut_off_is_answered_with_the_state(
    own_etcd: Etcd, connect: Connect, seen: Seen
) -> None:
    from tests.servers.faults import TcpProxy

    store = EtcdStore(connect(own_etcd.address))
    store.put_many({"c/stays": "1", "c/goes": "1", "c/changes": "1"})
    with (
        TcpProxy(int(own_etcd.address.split(":")[1])) as proxy,
        Watch(connect(f"127.0.0.1:{proxy.port}"), "c/", seen.append, prefix=True),
    ):
        store.put("c/stays", "2")
        seen.wait(1)
        proxy.refuse()
        store.put("c/changes", "2")
        store.put("c/changes", "3")
        store.delete("c/goes")
        revision = store.put("c/new", "1")
        compact = rpc.CompactionRequest(revision=revision, physical=True)
        connect(own_etcd.address).invoke("compact", "KV.Compact", compact)
        proxy.heal()
        seen.wait(4, 20)
    assert seen.short[0] == "c/stays=2"
    assert sorted(seen.short[1:]) == ["-c/goes", "c/changes=3", "c/new=1"]
    assert all(event.resync for event in seen[1:])


def test_it_goes_on_at_another_member(connect: Connect, seen: Seen) -> None:
    with three_etcds() as members:
        connection = connect(*(member.address for member in members), timeout=3)
        with Watch(connection, "cluster/", seen.append, prefix=True):
            next(member for member in members if member.leads).kill()
            wait_until(lambda: _up(connection), 15)
            EtcdStore(connection).put("cluster/a", "1")
            seen.wait(1, 20)


@pytest.fixture
def reader(guarded_etcd: Etcd, connect: Connect) -> EtcdConnection:
    return connect(guarded_etcd.address, user="reader", password="reader-pw")


def test_a_forbidden_watch_raises_and_does_not_hang(reader: EtcdConnection, seen: Seen) -> None:
    with pytest.raises(Forbidden):
        Watch(reader, "other/", seen.append, prefix=True)


def test_a_watch_that_becomes_forbidden_ends_with_its_error(
    reader: EtcdConnection, seen: Seen
) -> None:
    watch = Watch(reader, "other/", seen.append, prefix=True, revision=1)
    wait_until(lambda: watch.state.value == "failed", 10)
    assert isinstance(watch.error, Forbidden)
    watch.close()


def test_a_right_that_is_taken_away_ends_the_watch_when_it_resumes(
    own_etcd: Etcd, connect: Connect, seen: Seen
) -> None:
    with guard(own_etcd) as admin:
        reader = connect(own_etcd.address, user="reader", password="reader-pw")
        watch = Watch(reader, "app/", seen.append, prefix=True)
        EtcdStore(admin).put("app/a", "1")
        seen.wait(1)
        # etcd looks at rights when a watch begins, so a running one goes on until it breaks.
        revoke = rpc.AuthRoleRevokePermissionRequest(role="readers", key=b"app/", range_end=b"app0")
        admin.invoke("set up", "Auth.RoleRevokePermission", revoke)
    own_etcd.restart()
    wait_until(lambda: watch.state.value == "failed", 20)
    assert isinstance(watch.error, Forbidden)
    watch.close()


def test_close_is_quick_and_leaves_nothing(shared_etcd: Etcd) -> None:
    with no_leftovers(), EtcdConnection([shared_etcd.address]) as connection:
        watch = Watch(connection, "close/", lambda event: None, prefix=True)
        time.sleep(0.1)
        started = time.monotonic()
        watch.close()
        assert time.monotonic() - started < 1


def test_a_callback_may_close_its_own_watch(etcd: EtcdConnection) -> None:
    done = threading.Event()

    def callback(event: Event) -> None:
        watch.close()
        done.set()

    watch = Watch(etcd, "self/", callback, prefix=True)
    EtcdStore(etcd).put("self/a", "1")
    assert done.wait(5)


def _up(connection: EtcdConnection) -> bool:
    try:
        EtcdStore(connection).get("probe")
    except Exception:  # noqa: BLE001
        return False
    return True
