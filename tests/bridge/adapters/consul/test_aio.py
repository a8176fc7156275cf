import asyncio
import contextlib
import threading
import time

import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor

from bridge.adapters.consul import (
    BatchInterrupted,
    ConsulSettings,
    Expect,
    Health,
    Put,
    Service,
    TtlCheck,
)
from bridge.adapters.consul.aio import (
    AsyncConfigStore,
    AsyncConsulConnection,
    AsyncServiceRegistry,
)
from bridge.adapters.errors import (
    AdapterError,
    Closed,
    Conflict,
    DeadlineExceeded,
    Forbidden,
    LimitExceeded,
    TlsRefused,
    Unavailable,
)
from bridge.adapters.worker import State
from tests.servers import consul
from tests.servers.faults import TcpProxy
from tests.servers.process import free_port
from tests.servers.watchers import no_leftovers


@pytest.fixture
def run(telemetry):
    """`run(port, test, **settings)`: runs `await test(connection)` in a loop of its own."""

    def run(port, test, **settings):
        async def main():
            with no_leftovers():
                async with AsyncConsulConnection(
                    ConsulSettings(port=port, **{"wait": 5.0, "timeout": 5.0, **settings}),
                    tracer_provider=telemetry.tracer_provider,
                    meter_provider=telemetry.meter_provider,
                ) as connection:
                    await test(connection)

        asyncio.run(main())

    return run


async def until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def elsewhere(action):
    """`asyncio.to_thread`, whose threads would count as leftovers."""
    thread = threading.Thread(target=action)
    thread.start()
    while thread.is_alive():
        await asyncio.sleep(0.01)


def test_making_a_connection_asks_nothing(run):
    async def test(connection):
        assert repr(connection).startswith("AsyncConsulConnection(http://127.0.0.1")

    run(free_port(), test)


def test_keys_and_values(agent, run, prefix, telemetry):
    async def test(connection):
        store = AsyncConfigStore(connection)
        assert await store.get(prefix + "a") is None
        await store.put(prefix + "a", "1")
        entry = await store.get(prefix + "a")
        assert entry.text == "1"
        assert await store.compare_and_set(prefix + "a", "2", entry.index)
        assert not await store.compare_and_set(prefix + "a", "3", entry.index)
        assert not await store.compare_and_delete(prefix + "a", entry.index)
        await store.batch([Put(f"{prefix}n{n}", "x") for n in range(70)])
        assert len(await store.list(prefix)) == len(await store.keys(prefix)) == 71
        await store.transaction([Put(prefix + "b", "1"), Expect(prefix + "none", 0)])
        await store.delete(prefix + "b")
        await store.delete_tree(prefix)
        assert await store.keys(prefix) == []

    run(agent.port, test)
    assert [s.attributes["db.operation.batch.size"] for s in telemetry.spans("txn")] == [64, 6, 2]
    assert all(s.status.is_unset for s in telemetry.spans())


def test_refusals(agent, run, prefix):
    async def test(connection):
        store = AsyncConfigStore(connection)
        with pytest.raises(LimitExceeded):
            await store.put(prefix + "v", b"x" * (512 * 1024 + 1))
        with pytest.raises(Conflict):
            await store.transaction([Expect(prefix + "none", 7)])
        with pytest.raises(BatchInterrupted):
            await store.batch([*(Put(f"{prefix}{n}", "x") for n in range(64)), Expect("none", 7)])

    run(agent.port, test)


def test_calls_are_children_of_the_request_and_leave_it_current(agent, run, prefix, telemetry):
    async def test(connection):
        store = AsyncConfigStore(connection)
        with telemetry.tracer.start_as_current_span("request") as request:
            await asyncio.gather(*(store.get(f"{prefix}{n}") for n in range(5)))
            assert trace.get_current_span() is request

    run(agent.port, test)
    request = telemetry.span("request").context
    parents = [span.parent.span_id for span in telemetry.spans(f"get {prefix}")]
    assert parents == [request.span_id] * 5


def test_nobody_listens(run):
    async def test(connection):
        with pytest.raises(Unavailable):
            await AsyncConfigStore(connection).get("config/a")

    run(free_port(), test)


def test_a_half_open_connection(agent, run):
    with TcpProxy(agent.port) as proxy:

        async def test(connection):
            store = AsyncConfigStore(connection)
            await store.get("config/a")
            proxy.silence()
            with pytest.raises(DeadlineExceeded):
                await store.get("config/a")
            proxy.heal()
            await store.get("config/a")

        run(proxy.port, test, timeout=0.3)


@pytest.mark.parametrize(
    ("params", "seconds"),
    [([], 5), ([("index", 7), ("wait", "16s")], 5 + 16 + 1), ([("index", 7)], 5 + 300 + 18.75)],
)
def test_a_blocking_read_may_last_as_long_as_the_server_holds_it(run, params, seconds):
    async def test(connection):
        assert connection.client.http._deadline(params, None).total == seconds

    run(free_port(), test)


def test_a_cancelled_call_is_seen_as_such(agent, run, telemetry):
    with TcpProxy(agent.port) as proxy:

        async def test(connection):
            proxy.silence()
            call = asyncio.ensure_future(AsyncConfigStore(connection).get("config/a"))
            await asyncio.sleep(0.1)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

        run(proxy.port, test)
    assert telemetry.span("get config/").attributes["error.type"] == "CancelledError"


def test_after_close_every_call_says_so(agent, run):
    async def test(connection):
        await connection.close()
        with pytest.raises(Closed):
            await AsyncConfigStore(connection).get("config/a")

    run(agent.port, test)


def test_acl(guarded, run):
    async def test(connection):
        store = AsyncConfigStore(connection)
        assert await store.get("config/none") is None
        with pytest.raises(Forbidden):
            await store.put("config/a", "1")
        connection.use_token(consul.MANAGEMENT)
        await store.put("config/a", "1")

    run(guarded.port, test, token=guarded.reader)


def test_mtls(tls_agent, certificates, run):
    async def works(connection):
        assert await AsyncConfigStore(connection).get("none") is None

    async def refused(connection):
        with pytest.raises(TlsRefused):
            await AsyncConfigStore(connection).get("none")

    run(tls_agent.https_port, works, **consul.client_files(certificates[0]))
    run(tls_agent.https_port, refused, ca=consul.client_files(certificates[0])["ca"])
    run(tls_agent.https_port, refused, **consul.client_files(certificates[1]))


def test_the_transport_s_own_spans_show_only_on_demand(agent, run, telemetry):
    async def test(connection):
        await AsyncConfigStore(connection).get("config/a")

    instrumentor = AioHttpClientInstrumentor()
    instrumentor.instrument(tracer_provider=telemetry.tracer_provider)
    try:
        run(agent.port, test)
        assert [span.name for span in telemetry.spans()] == ["get config/"]
        run(agent.port, test, transport_spans=True)
        assert len(telemetry.spans("GET")) == 1
    finally:
        instrumentor.uninstrument()


def test_watch_change_delete_and_recreate_with_a_coroutine_callback(agent, run, prefix, telemetry):
    seen = []

    async def callback(event):
        await asyncio.sleep(0)
        seen.append(event.value)

    async def test(connection):
        store = AsyncConfigStore(connection)
        async with store.watch(prefix + "a", callback):
            await store.put(prefix + "a", "1")
            await until(lambda: seen == [b"1"])
            await store.delete(prefix + "a")
            await until(lambda: seen[-1] is None)
            await store.put(prefix + "a", "2")
            await until(lambda: seen[-1] == b"2")

    run(agent.port, test)
    assert all(span.parent is None for span in telemetry.spans(f"consul watch {prefix}"))


def test_watch_a_prefix_with_a_plain_callback_that_fails(agent, run, prefix, telemetry):
    seen = []

    def callback(event):
        seen.append(event.key)
        raise RuntimeError

    async def test(connection):
        store = AsyncConfigStore(connection)
        async with store.watch_prefix(prefix, callback):
            await store.put(prefix + "a", "1")
            await until(lambda: len(seen) == 1)
            await store.put(prefix + "b", "1")
            await until(lambda: len(seen) == 2)

    run(agent.port, test)
    kinds = {s.attributes["error.type"] for s in telemetry.spans(f"consul watch {prefix}")}
    assert kinds == {"RuntimeError"}


def test_kill_and_restart_with_the_index_going_backwards(own_agent, run):
    seen, states = [], []

    async def test(connection):
        store = AsyncConfigStore(connection)
        for n in range(50):
            await store.put("config/filler", str(n))
        await store.put("config/a", "before")
        watch = store.watch(
            "config/a",
            lambda event: seen.append(event.value),
            on_state=lambda change: states.append(change.state),
        )
        await until(lambda: seen == [b"before"])
        await elsewhere(own_agent.restart)
        await until(lambda: seen[-1] is None, 20)
        await store.put("config/a", "after")
        await until(lambda: seen[-1] == b"after")
        await watch.close()

    run(own_agent.port, test, wait=55.0)
    assert states == [State.UP, State.LOST, State.UP, State.STOPPED]


def test_stop_takes_under_a_second_while_the_server_holds_the_read(agent, run, prefix):
    async def test(connection):
        watch = AsyncConfigStore(connection).watch(prefix + "none", print)
        await until(lambda: watch.state is State.UP)
        await asyncio.sleep(0.4)
        began = time.monotonic()
        await watch.close()
        assert time.monotonic() - began < 1

    run(agent.port, test, wait=60.0)


def test_twenty_flaps(agent, run, prefix):
    seen = []
    with TcpProxy(agent.port) as proxy:

        async def test(connection):
            store = AsyncConfigStore(connection)
            async with store.watch(prefix + "a", lambda event: seen.append(event.value)) as watch:
                for _ in range(20):
                    proxy.refuse()
                    await until(lambda: watch.state is State.LOST)
                    proxy.heal()
                    await until(lambda: watch.state is State.UP)
                await store.put(prefix + "a", "still here")
                await until(lambda: seen == [b"still here"])
                tasks = [t for t in asyncio.all_tasks() if t.get_name().startswith("consul watch")]
                assert len(tasks) == 1
            proxy.close()

        run(proxy.port, test)


def test_the_cache_follows_the_store(agent, run, prefix):
    async def test(connection):
        store = AsyncConfigStore(connection)
        await store.put(prefix + "a", "1")
        async with store.cache(prefix) as cache:
            assert await cache.wait(5)
            assert cache.text(prefix + "a") == "1"
            await store.put(prefix + "a", "2")
            await until(lambda: cache.text(prefix + "a") == "2")
            assert cache.state is State.UP

    run(agent.port, test)


def test_register_discover_watch_and_deregister(agent, run, name):
    seen = []

    async def test(connection):
        registry = AsyncServiceRegistry(connection)
        async with registry.watch(name, seen.append, healthy=False):
            async with await registry.register(Service(name, 7, check=TtlCheck(0.6))) as held:
                await until(lambda: seen and [i.health for i in seen[-1]] == [Health.PASSING])
                await asyncio.sleep(1)
                assert [i.port for i in await registry.discover(name, consistency="stale")] == [7]
                await held.report(Health.WARNING)
                await until(lambda: seen[-1][0].health is Health.WARNING)
            await until(lambda: seen[-1] == [])

    run(agent.port, test)


@pytest.mark.parametrize("check", [TtlCheck(0.6), None])
def test_a_restarted_agent_that_forgot_us_is_told_again(own_agent, run, name, check, monkeypatch):
    monkeypatch.setattr("bridge.adapters.consul.aio.registry.PRESENCE_INTERVAL", 0.2)

    async def test(connection):
        registry = AsyncServiceRegistry(connection)
        registration = await registry.register(Service(name, 1, check=check))
        await until(lambda: registration.state is State.UP)
        await elsewhere(own_agent.restart)
        for _ in range(500):
            with contextlib.suppress(AdapterError):
                if registration.state is State.UP and await registry.discover(name):
                    return
            await asyncio.sleep(0.02)
        raise AssertionError(registration.state)

    run(own_agent.port, test)


def test_a_service_may_start_before_the_agent(own_agent, run, name, telemetry):
    own_agent.kill()

    async def test(connection):
        registry = AsyncServiceRegistry(connection)
        with pytest.raises(Unavailable):
            await registry.register(Service(name, 1))
        registration = await registry.register(Service(name, 1), required=False)
        await until(lambda: registration.state is State.LOST)

    run(own_agent.port, test)
    assert any(f"{name} is still registered" in line for line in telemetry.log.lines)
