"""The asyncio objects on a real etcd: the same promises as the sync ones, the same faults."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable

import pytest
from aetcd import rpc

from bridge.adapters.errors import (
    AdapterError,
    Closed,
    Conflict,
    DeadlineExceeded,
    Forbidden,
    Unauthenticated,
    Unavailable,
)
from bridge.adapters.etcd import Event, Instance, LockBusy, NotHeld, Put
from bridge.adapters.etcd.aio import (
    AsyncElection,
    AsyncEtcdConnection,
    AsyncEtcdStore,
    AsyncLease,
    AsyncLock,
    AsyncServiceRegistry,
    AsyncWatch,
)
from tests.bridge.adapters.etcd.test_connection import guarded_etcd as guarded_etcd
from tests.servers.etcd import Etcd, three_etcds
from tests.servers.faults import TcpProxy
from tests.servers.process import free_port
from tests.servers.watchers import Telemetry, no_leftovers

Run = Callable[..., None]


@pytest.fixture
def run(telemetry: Telemetry, caplog: pytest.LogCaptureFixture) -> Run:
    """`run(addresses, test, **settings)`: `await test(connection)` in a loop of its own."""
    # What pytest keeps of gRPC's debug log holds exceptions, and with them channels.
    caplog.set_level(logging.INFO, logger="grpc.aio")

    def run(
        addresses: list[str] | str,
        test: Callable[[AsyncEtcdConnection], Awaitable[None]],
        **settings: object,
    ) -> None:
        async def main() -> None:
            async with AsyncEtcdConnection(
                [addresses] if isinstance(addresses, str) else addresses,
                tracer_provider=telemetry.tracer_provider,
                meter_provider=telemetry.meter_provider,
                **settings,  # type: ignore[arg-type]
            ) as connection:
                await test(connection)
            # gRPC ends its own task for a call a moment after the call.
            await until(lambda: asyncio.all_tasks() == {asyncio.current_task()}, 3)

        with no_leftovers():
            asyncio.run(main())

    return run


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def elsewhere(action: Callable[[], object]) -> None:
    """`asyncio.to_thread`, whose threads would count as leftovers."""
    thread = threading.Thread(target=action)
    thread.start()
    while thread.is_alive():
        await asyncio.sleep(0.01)


async def answers(connection: AsyncEtcdConnection, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            await AsyncEtcdStore(connection).get("probe")
            return
        except AdapterError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


async def revoke(connection: AsyncEtcdConnection, lease: int) -> None:
    await connection.invoke("revoke", "Lease.LeaseRevoke", rpc.LeaseRevokeRequest(ID=lease))


# --- calls


def test_keys_are_written_read_listed_and_deleted(shared_etcd: Etcd, run: Run) -> None:
    async def test(connection: AsyncEtcdConnection) -> None:
        store = AsyncEtcdStore(connection)
        assert await store.get("aio/a") is None
        revision = await store.put("aio/a", "1")
        entry = await store.get("aio/a")
        assert entry is not None
        assert (entry.text, entry.mod_revision) == ("1", revision)
        with pytest.raises(Conflict):
            await store.compare_and_set("aio/a", "2", mod_revision=0)
        await store.compare_and_set("aio/a", "2", mod_revision=revision)
        assert await store.put_many({f"aio/many/{n:04}": "x" for n in range(1200)}) == 10
        found, _ = await store.list("aio/many/")
        assert len(found) == 1200
        assert await store.delete("aio/", prefix=True) == 1201

    run(shared_etcd.address, test)


def test_a_call_is_a_span_below_the_current_one(
    shared_etcd: Etcd, run: Run, telemetry: Telemetry
) -> None:
    async def test(connection: AsyncEtcdConnection) -> None:
        store = AsyncEtcdStore(connection)
        with telemetry.tracer.start_as_current_span("request"):
            await asyncio.gather(store.put("one/a", "1"), store.put("two/a", "1"))

    run(shared_etcd.address, test)
    request = telemetry.span("request").get_span_context()
    assert request is not None
    for name in ("put one/", "put two/"):
        parent = telemetry.span(name).parent
        assert parent is not None
        assert parent.span_id == request.span_id


def test_nobody_listening_is_unavailable_and_the_next_endpoint_is_tried(
    shared_etcd: Etcd, run: Run
) -> None:
    async def alone(connection: AsyncEtcdConnection) -> None:
        with pytest.raises(Unavailable):
            await AsyncEtcdStore(connection).get("a")

    async def second(connection: AsyncEtcdConnection) -> None:
        await AsyncEtcdStore(connection).put("a", "1")

    dead = f"127.0.0.1:{free_port()}"
    run(dead, alone)
    run([dead, shared_etcd.address], second)


def test_a_hanging_server_ends_in_the_deadline(own_etcd: Etcd, run: Run) -> None:
    async def test(connection: AsyncEtcdConnection) -> None:
        store = AsyncEtcdStore(connection)
        await store.put("a", "1")
        own_etcd.pause()
        with pytest.raises(DeadlineExceeded):
            await store.get("a")
        own_etcd.resume()
        await answers(connection)

    run(own_etcd.address, test, timeout=0.5)


def test_a_closed_connection_says_so(shared_etcd: Etcd, run: Run) -> None:
    async def test(connection: AsyncEtcdConnection) -> None:
        await AsyncEtcdStore(connection).get("a")
        await connection.close()
        with pytest.raises(Closed):
            await AsyncEtcdStore(connection).get("a")

    run(shared_etcd.address, test)


def test_users_log_in_and_an_expired_token_is_renewed(guarded_etcd: Etcd, run: Run) -> None:
    async def reader(connection: AsyncEtcdConnection) -> None:
        store = AsyncEtcdStore(connection)
        await store.get("app/a")
        with pytest.raises(Forbidden):
            await store.put("app/a", "2")
        await asyncio.sleep(5)
        await store.get("app/a")

    async def stranger(connection: AsyncEtcdConnection) -> None:
        with pytest.raises(Unauthenticated):
            await AsyncEtcdStore(connection).get("app/a")

    run(guarded_etcd.address, reader, user="reader", password="reader-pw")
    run(guarded_etcd.address, stranger, user="reader", password="wrong")


# --- leases, locks, elections


def test_a_lease_outlives_its_time_and_ends_with_close(shared_etcd: Etcd, run: Run) -> None:
    async def test(connection: AsyncEtcdConnection) -> None:
        store = AsyncEtcdStore(connection)
        async with await AsyncLease.grant(connection, 2) as lease:
            await store.put("aiolease/a", "1", lease=lease.id)
            await asyncio.sleep(4)
            assert await store.get("aiolease/a") is not None
        assert await store.get("aiolease/a") is None

    run(shared_etcd.address, test)


def test_ten_contenders_never_hold_a_lock_together(shared_etcd: Etcd, run: Run) -> None:
    tokens: list[int] = []
    inside, most = 0, 0

    async def contend(connection: AsyncEtcdConnection) -> None:
        nonlocal inside, most
        for _ in range(2):
            async with AsyncLock(connection, "aiolocks/ten") as lock:
                inside += 1
                most = max(most, inside)
                tokens.append(lock.fencing_token)
                await asyncio.sleep(0.01)
                inside -= 1

    async def test(connection: AsyncEtcdConnection) -> None:
        await asyncio.gather(*(contend(connection) for _ in range(10)))

    run(shared_etcd.address, test)
    assert most == 1
    assert len(set(tokens)) == 20
    assert tokens == sorted(tokens)


def test_a_free_lock_is_had_without_waiting(shared_etcd: Etcd, run: Run) -> None:
    async def test(connection: AsyncEtcdConnection) -> None:
        lock = AsyncLock(connection, "aiolocks/free")
        assert await lock.try_acquire() == lock.fencing_token
        await lock.release()

    run(shared_etcd.address, test)


def test_a_busy_or_cancelled_wait_leaves_no_key(shared_etcd: Etcd, run: Run) -> None:
    async def test(connection: AsyncEtcdConnection) -> None:
        async with AsyncLock(connection, "aiolocks/busy") as lock:
            with pytest.raises(RuntimeError, match="reentrant"):
                await lock.acquire()
            assert await AsyncLock(connection, "aiolocks/busy").try_acquire() is None
            with pytest.raises(LockBusy):
                await AsyncLock(connection, "aiolocks/busy").acquire(timeout=0.3)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(AsyncLock(connection, "aiolocks/busy").acquire(), 0.3)
            found, _ = await AsyncEtcdStore(connection).list("aiolocks/busy/")
            assert len(found) == 1

    run(shared_etcd.address, test)


def test_a_revoked_lease_is_noticed_by_the_holder(shared_etcd: Etcd, run: Run) -> None:
    async def test(connection: AsyncEtcdConnection) -> None:
        lock = AsyncLock(connection, "aiolocks/revoked", ttl=3)
        await lock.acquire()
        lease = lock._turn._lease
        assert lease is not None
        await revoke(connection, lease.id)
        await asyncio.wait_for(lock.lost.wait(), 3)
        with pytest.raises(NotHeld):
            _ = lock.fencing_token
        with pytest.raises(NotHeld):
            await lock.release()
        async with lock:
            assert lock.held

    run(shared_etcd.address, test)


def test_a_cut_off_holder_notices_within_the_lease_time(own_etcd: Etcd, run: Run) -> None:
    async def test(connection: AsyncEtcdConnection) -> None:
        lock = AsyncLock(connection, "aiolocks/cut", ttl=2)
        await lock.acquire()
        own_etcd.pause()
        await asyncio.wait_for(lock.lost.wait(), 4)
        own_etcd.resume()
        with pytest.raises(NotHeld):
            await lock.release()

    run(own_etcd.address, test)


def test_the_second_candidate_leads_when_the_first_resigns(shared_etcd: Etcd, run: Run) -> None:
    async def test(connection: AsyncEtcdConnection) -> None:
        first, second = (AsyncElection(connection, "aioelections/a") for _ in range(2))
        term = await first.campaign("anna")
        waiting = asyncio.create_task(second.campaign("ben"))
        leader = await second.leader()
        assert leader is not None
        assert leader.text == "anna"
        await first.resign()
        assert await waiting > term
        assert second.leads
        await second.resign()
        assert await second.leader() is None

    run(shared_etcd.address, test)


# --- watches


def test_events_arrive_in_order_each_in_a_linked_root_span(
    shared_etcd: Etcd, run: Run, telemetry: Telemetry
) -> None:
    seen: list[Event] = []

    async def callback(event: Event) -> None:
        await asyncio.sleep(0)
        seen.append(event)
        if len(seen) == 2:
            raise ValueError("logged by its place only")

    async def test(connection: AsyncEtcdConnection) -> None:
        store = AsyncEtcdStore(connection)
        with telemetry.tracer.start_as_current_span("main"):
            watch = await AsyncWatch.open(connection, "aiowatch/", callback, prefix=True)
        await store.transaction([], [Put("aiowatch/a", "1"), Put("aiowatch/b", "2")])
        await store.delete("aiowatch/", prefix=True)
        await until(lambda: len(seen) == 4)
        await watch.close()

    run(shared_etcd.address, test)
    assert [(event.key[-1], event.deleted) for event in seen] == [
        ("a", False),
        ("b", False),
        ("a", True),
        ("b", True),
    ]
    main = telemetry.span("main").get_span_context()
    assert main is not None
    events = telemetry.spans("etcd watch event")
    assert len(events) == 4
    assert all(span.parent is None for span in events)
    assert all(span.links[0].context.span_id == main.span_id for span in events)


def test_nothing_is_lost_over_crashes(own_etcd: Etcd, run: Run) -> None:
    seen: list[str] = []

    async def test(connection: AsyncEtcdConnection) -> None:
        store = AsyncEtcdStore(connection)
        async with await AsyncWatch.open(
            connection, "crash/", lambda event: seen.append(event.key), prefix=True, queue_size=2
        ):
            for round_ in range(2):
                for number in range(10):
                    await store.put(f"crash/{round_}-{number}", "x")
                await elsewhere(own_etcd.restart)
                await answers(connection)
            await store.put("crash/end", "x")
            await until(lambda: "crash/end" in seen, 20)

    run(own_etcd.address, test)
    assert seen == [*(f"crash/{r}-{n}" for r in range(2) for n in range(10)), "crash/end"]


def test_a_compaction_while_cut_off_is_answered_with_the_state(own_etcd: Etcd, run: Run) -> None:
    seen: list[Event] = []

    async def test(connection: AsyncEtcdConnection) -> None:
        store = AsyncEtcdStore(connection)
        await store.put_many({"c/stays": "1", "c/goes": "1", "c/changes": "1"})
        with TcpProxy(int(own_etcd.address.split(":")[1])) as proxy:
            async with (
                AsyncEtcdConnection([f"127.0.0.1:{proxy.port}"]) as cut,
                await AsyncWatch.open(cut, "c/", seen.append, prefix=True),
            ):
                await store.put("c/stays", "2")
                await until(lambda: len(seen) == 1)
                proxy.refuse()
                await store.put("c/changes", "3")
                await store.delete("c/goes")
                revision = await store.put("c/new", "1")
                compact = rpc.CompactionRequest(revision=revision, physical=True)
                await connection.invoke("compact", "KV.Compact", compact)
                proxy.heal()
                await until(lambda: len(seen) == 4, 20)

    run(own_etcd.address, test)
    assert {event.key for event in seen[1:]} == {"c/goes", "c/changes", "c/new"}
    assert all(event.resync for event in seen[1:])


def test_a_forbidden_watch_ends_with_its_error(guarded_etcd: Etcd, run: Run) -> None:
    async def test(connection: AsyncEtcdConnection) -> None:
        with pytest.raises(Forbidden):
            await AsyncWatch.open(connection, "other/", print, prefix=True)
        watch = await AsyncWatch.open(connection, "other/", print, prefix=True, revision=1)
        await until(lambda: watch.state.value == "failed")
        assert isinstance(watch.error, Forbidden)
        await watch.close()

    run(guarded_etcd.address, test, user="reader", password="reader-pw")


def test_a_callback_may_close_its_own_watch(shared_etcd: Etcd, run: Run) -> None:
    done: list[str] = []

    async def test(connection: AsyncEtcdConnection) -> None:
        async def callback(event: Event) -> None:
            await watch.close()
            await asyncio.sleep(0.01)
            done.append(event.key)

        watch = await AsyncWatch.open(connection, "aioself/", callback, prefix=True)
        await AsyncEtcdStore(connection).put("aioself/a", "1")
        await until(lambda: done)
        await asyncio.sleep(0.05)

    run(shared_etcd.address, test)


# --- registration


def test_an_instance_is_found_watched_and_registered_again(shared_etcd: Etcd, run: Run) -> None:
    shop = Instance("shop", "shop-1", "10.0.0.1", 8080)
    lists: list[list[Instance]] = []
    states: list[str] = []

    async def test(connection: AsyncEtcdConnection) -> None:
        registry = AsyncServiceRegistry(connection, prefix="aioreg")
        async with await registry.watch("shop", lists.append):
            registration = await registry.register(
                shop, ttl=2, on_state=lambda change: states.append(change.state.value)
            )
            await until(lambda: len(lists) == 2)
            lease = registration._lease
            assert lease is not None
            await revoke(connection, lease.id)
            await until(lambda: len(lists) == 4)
            await registration.close()
            await until(lambda: len(lists) == 5)
        assert await registry.discover("shop") == []

    run(shared_etcd.address, test)
    assert lists == [[], [shop], [], [shop], []]
    assert states == ["up", "lost", "up", "stopped"]


def test_losing_a_member_loses_neither_watch_nor_lock(run: Run) -> None:
    seen: list[str] = []
    with three_etcds() as members:

        async def test(connection: AsyncEtcdConnection) -> None:
            lock = AsyncLock(connection, "aiolocks/leader", ttl=10)
            await lock.acquire()
            async with await AsyncWatch.open(
                connection, "cluster/", lambda event: seen.append(event.key), prefix=True
            ):
                next(member for member in members if member.leads).kill()
                await answers(connection)
                await AsyncEtcdStore(connection).put("cluster/a", "1")
                await until(lambda: seen == ["cluster/a"], 20)
            assert lock.held
            await lock.release()

        run([member.address for member in members], test, timeout=3)


def test_twenty_flaps_leave_one_registration_and_a_living_watch(own_etcd: Etcd, run: Run) -> None:
    shop = Instance("shop", "shop-1", "10.0.0.1", 8080)
    seen: list[str] = []

    async def test(connection: AsyncEtcdConnection) -> None:
        registry = AsyncServiceRegistry(connection)
        with TcpProxy(int(own_etcd.address.split(":")[1])) as proxy:
            async with (
                AsyncEtcdConnection([f"127.0.0.1:{proxy.port}"], timeout=1) as cut,
                await AsyncServiceRegistry(cut).register(shop, ttl=2),
                await AsyncWatch.open(cut, "flap", lambda event: seen.append(event.key)),
            ):
                for _ in range(20):
                    proxy.refuse()
                    await asyncio.sleep(0.1)
                    proxy.heal()
                    await asyncio.sleep(0.05)
                await AsyncEtcdStore(connection).put("flap", "1")
                await until(lambda: seen == ["flap"], 15)
                deadline = time.monotonic() + 15
                while await registry.discover("shop") != [shop]:
                    assert time.monotonic() < deadline
                    await asyncio.sleep(0.1)
        assert await registry.discover("shop") == []

    run(own_etcd.address, test)
