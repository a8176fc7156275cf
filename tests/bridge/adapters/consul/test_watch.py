import threading
import time

import pytest

from bridge.adapters.consul import ConfigStore, Entry, KeyEvent, Put
from bridge.adapters.consul.watch import Cursor, KeyDiffer
from bridge.adapters.errors import DeadlineExceeded, Unavailable
from bridge.adapters.worker import State
from tests.servers import consul
from tests.servers.faults import TcpProxy
from tests.servers.process import wait_until
from tests.servers.watchers import no_leftovers


class Seen(list):
    """A callback that remembers: (key's last part, text or None when deleted)."""

    def __call__(self, event):
        self.append(
            (event.key.rsplit("/")[-1], event.value.decode() if event.value is not None else None)
        )

    def until(self, *expected, seconds=5):
        wait_until(
            lambda: self[-len(expected) :] == list(expected), seconds, f"{expected}, not {self}"
        )


@pytest.fixture
def seen():
    return Seen()


@pytest.mark.parametrize(
    ("before", "given", "after"),
    [(0, 5, 5), (5, 5, 5), (5, 9, 9), (213, 8, 0), (5, 0, 0)],
)
def test_an_index_that_falls_starts_from_nothing(before, given, after):
    cursor = Cursor()
    cursor.index = before
    cursor.advance(given)
    assert cursor.index == after


def entry(key, value, index):
    return Entry(key, value, index, index)


def test_what_is_told_is_decided_by_index_and_value():
    changes = KeyDiffer()
    assert changes({}) == []
    assert changes({"a": entry("a", b"1", 5)}) == [KeyEvent("a", b"1", 5)]
    assert changes({"a": entry("a", b"1", 5)}) == []
    touched = {"a": entry("a", b"1", 6)}
    assert changes(touched) == [KeyEvent("a", b"1", 6)]
    restarted = {"a": entry("a", b"2", 6)}
    assert changes(restarted) == [KeyEvent("a", b"2", 6)]
    assert changes({}) == [KeyEvent("a", None, 6, deleted=True)]


def test_events_come_in_the_order_of_the_changes():
    changes = KeyDiffer()
    changes({"old": entry("old", b"x", 1)})
    now = {"a": entry("a", b"1", 9), "b": entry("b", b"1", 7)}
    assert [event.key for event in changes(now)] == ["old", "b", "a"]


def test_nothing_is_told_of_a_missing_key(store, prefix, seen):
    with store.watch(prefix + "a", seen) as watch:
        wait_until(lambda: watch.state is State.UP)
    assert seen == []


def test_what_is_there_then_change_delete_and_recreate(store, prefix, seen):
    store.put(prefix + "a", "1")
    with store.watch(prefix + "a", seen):
        seen.until(("a", "1"))
        store.put(prefix + "a", "2")
        seen.until(("a", "2"))
        store.delete(prefix + "a")
        seen.until(("a", None))
        store.put(prefix + "a", "2")
        seen.until(("a", "2"))
    assert len(seen) == 4


def test_an_unrelated_write_is_not_told(store, prefix, seen):
    store.put(prefix + "a", "1")
    with store.watch(prefix + "a", seen):
        seen.until(("a", "1"))
        for n in range(20):
            store.put(f"{prefix}b{n}", "x")
        store.put(prefix + "a", "2")
        seen.until(("a", "2"))
    assert seen == [("a", "1"), ("a", "2")]


def test_a_prefix_tells_each_key(store, prefix, seen):
    store.put(prefix + "a", "1")
    with store.watch_prefix(prefix, seen):
        seen.until(("a", "1"))
        store.put(prefix + "b", "2")
        seen.until(("b", "2"))
        store.delete(prefix + "a")
        seen.until(("a", None))


def test_the_last_change_is_never_missed(store, prefix, seen):
    with store.watch(prefix + "a", seen) as watch:
        wait_until(lambda: watch.state is State.UP)
        for n in range(300):
            store.put(prefix + "a", str(n))
        seen.until(("a", "299"))


def test_a_slow_callback_sees_the_latest_state_next(store, prefix):
    seen, gate = [], threading.Event()

    def slow(event):
        seen.append(event.value)
        gate.wait(5)

    store.put(prefix + "a", "1")
    with store.watch(prefix + "a", slow):
        wait_until(lambda: seen)
        for n in range(2, 50):
            store.put(prefix + "a", str(n))
        gate.set()
        wait_until(lambda: seen[-1] == b"49")
    assert len(seen) < 10


def test_a_callback_that_fails_does_not_end_the_watch(store, prefix, telemetry, canaries):
    secret = canaries.make("value")
    values = []

    def fails(event):
        values.append(event.value)
        int(event.value)

    with store.watch(prefix + "a", fails):
        store.put(prefix + "a", secret)
        wait_until(lambda: values)
        store.put(prefix + "a", "2")
        wait_until(lambda: len(values) == 2)
    errors = [s.attributes.get("error.type") for s in telemetry.spans(f"consul watch {prefix}")]
    assert errors == ["ValueError", None]


def test_each_event_is_a_root_span_linked_to_who_began_the_watch(store, prefix, seen, telemetry):
    with telemetry.tracer.start_as_current_span("startup") as startup:
        watch = store.watch(prefix + "a", seen)
    store.put(prefix + "a", "1")
    seen.until(("a", "1"))
    watch.close()
    span = telemetry.span(f"consul watch {prefix}")
    assert span.parent is None
    assert [link.context for link in span.links] == [startup.get_span_context()]
    assert span.attributes["consul.key"] == prefix
    assert span.attributes["consul.found"] is True


def test_blocking_reads_make_no_spans(store, prefix, seen, telemetry):
    with store.watch(prefix + "a", seen) as watch:
        wait_until(lambda: watch.state is State.UP)
        time.sleep(0.6)
    assert [s.name for s in telemetry.spans()] == [
        f"consul watch {prefix} up",
        f"consul watch {prefix} stopped",
    ]


def test_stop_takes_under_a_second_while_the_server_holds_the_read(connection, prefix, seen):
    store = ConfigStore(connection)
    store.put(prefix + "a", "1")
    with no_leftovers():
        watch = store.watch(prefix + "a", seen)
        seen.until(("a", "1"))
        time.sleep(0.5)
        began = time.monotonic()
        watch.close()
        assert time.monotonic() - began < 1
        assert watch.state is State.STOPPED


def test_closing_inside_the_callback(store, prefix):
    done = threading.Event()
    watches = []

    def once(event):
        watches[0].close()
        done.set()

    watches.append(store.watch(prefix + "a", once))
    store.put(prefix + "a", "1")
    assert done.wait(5)
    wait_until(lambda: watches[0].state is State.STOPPED)


def test_closing_the_connection_closes_its_watches(connect, agent, prefix, seen):
    with no_leftovers():
        connection = connect(agent.port)
        watch = ConfigStore(connection).watch(prefix + "a", seen)
        wait_until(lambda: watch.state is State.UP)
        connection.close()
        assert watch.state is State.STOPPED


def requests(agent, path):
    """How many requests the server says it has answered."""
    return agent.log().count(f"Request finished: method=GET url=/v1/kv/{path}")


def test_a_missing_key_costs_fewer_than_5_requests_per_second(own_agent, connect, seen):
    store = ConfigStore(connect(own_agent.port))
    with store.watch("config/missing", seen):
        for n in range(60):  # every write wakes a read of a missing key
            store.put(f"config/other{n}", "x")
            time.sleep(0.05)
    assert 1 <= requests(own_agent, "config/missing") < 5 * 3


def test_a_deleted_key_costs_fewer_than_5_requests_per_second(own_agent, connect, seen):
    store = ConfigStore(connect(own_agent.port))
    store.put("config/a", "1")
    with store.watch("config/a", seen):
        seen.until(("a", "1"))
        store.delete("config/a")
        seen.until(("a", None))
        before = requests(own_agent, "config/a")
        assert before > 0
        time.sleep(2)
        assert requests(own_agent, "config/a") - before < 5 * 2


def test_kill_and_restart_with_the_index_going_backwards(own_agent, connect, seen, telemetry):
    store = ConfigStore(connect(own_agent.port, wait=55.0))
    states = []
    for n in range(200):
        store.put("config/filler", str(n))
    store.put("config/a", "before")
    with store.watch("config/a", seen, on_state=lambda change: states.append(change.state)):
        seen.until(("a", "before"))
        high = store.get("config/a").index
        own_agent.restart()  # in memory: everything is forgotten
        seen.until(("a", None), seconds=20)
        store.put("config/a", "after")
        assert store.get("config/a").index < high
        seen.until(("a", "after"))
    assert states == [State.UP, State.LOST, State.UP, State.STOPPED]
    assert sum(telemetry.metric("adapter.watch.restarts").values()) >= 1


def test_an_index_that_goes_backwards_without_a_lost_connection(own_agent, connect, seen):
    """As behind a load balancer: the connection holds, another server answers."""
    with TcpProxy(own_agent.port) as proxy:
        store = ConfigStore(connect(proxy.port, wait=2.0))
        store.put("config/a", "1")
        with store.watch("config/a", seen) as watch:
            seen.until(("a", "1"))
            watch._cursor.index = 100_000  # what another server had said
            wait_until(lambda: watch._cursor.index < 100_000)
            time.sleep(0.4)
            store.put("config/a", "2")
            seen.until(("a", "2"), seconds=1)


def test_a_server_that_hangs_is_lost_after_the_timeout_and_comes_back(own_agent, connect, seen):
    store = ConfigStore(connect(own_agent.port, wait=0.5, timeout=0.5))
    changes = []
    with store.watch("config/a", seen, on_state=changes.append) as watch:
        wait_until(lambda: watch.state is State.UP)
        own_agent.pause()
        wait_until(lambda: watch.state is State.LOST, 5)
        assert isinstance(watch.error, DeadlineExceeded)
        own_agent.resume()
        wait_until(lambda: watch.state is State.UP)
        store.put("config/a", "1")
        seen.until(("a", "1"))


def test_a_half_open_connection_is_lost_after_the_timeout(agent, connect, prefix, seen):
    with TcpProxy(agent.port) as proxy:
        store = ConfigStore(connect(agent.port))
        watching = ConfigStore(connect(proxy.port, wait=0.5, timeout=0.5))
        with watching.watch(prefix + "a", seen) as watch:
            wait_until(lambda: watch.state is State.UP)
            proxy.silence()
            wait_until(lambda: watch.state is State.LOST, 5)
            store.put(prefix + "a", "meanwhile")
            proxy.heal()
            seen.until(("a", "meanwhile"))


def test_stop_is_quick_while_the_server_hangs(agent, connect, prefix, seen):
    with TcpProxy(agent.port) as proxy:
        watch = ConfigStore(connect(proxy.port, wait=30.0)).watch(prefix + "a", seen)
        wait_until(lambda: watch.state is State.UP)
        proxy.silence()
        began = time.monotonic()
        watch.close()
        assert time.monotonic() - began < 1


def test_a_watch_may_start_before_the_server(connect, own_agent, seen):
    store = ConfigStore(connect(own_agent.port))
    own_agent.kill()
    with store.watch("config/a", seen) as watch:
        wait_until(lambda: watch.state is State.LOST)
        assert isinstance(watch.error, Unavailable)
        own_agent.start()
        store.put("config/a", "1")
        seen.until(("a", "1"), seconds=15)


def test_latency_only_delays(agent, connect, prefix, seen):
    with TcpProxy(agent.port) as proxy:
        proxy.latency = 0.1
        store = ConfigStore(connect(proxy.port))
        with store.watch(prefix + "a", seen):
            store.put(prefix + "a", "1")
            seen.until(("a", "1"))


def test_nothing_is_left_after_twenty_flaps(agent, connect, prefix, seen):
    with no_leftovers(), TcpProxy(agent.port) as proxy:
        connection = connect(proxy.port)
        store = ConfigStore(connection)
        with store.watch(prefix + "a", seen) as watch:
            for _ in range(20):
                proxy.refuse()
                wait_until(lambda: watch.state is State.LOST)
                proxy.heal()
                wait_until(lambda: watch.state is State.UP)
            store.put(prefix + "a", "still here")
            seen.until(("a", "still here"))
            watchers = [t for t in threading.enumerate() if t.name.startswith("consul watch")]
            assert len(watchers) == 1
        connection.close()


def test_the_cache_is_stale_but_there_while_consul_is_away(agent, connect, prefix):
    with TcpProxy(agent.port) as proxy:
        store = ConfigStore(connect(agent.port))
        store.put(prefix + "a", "1")
        with ConfigStore(connect(proxy.port)).cache(prefix) as cache:
            assert cache.wait(5)
            proxy.refuse()
            wait_until(lambda: cache.state is State.LOST)
            assert cache.text(prefix + "a") == "1"
            store.put(prefix + "a", "2")
            proxy.heal()
            wait_until(lambda: cache.text(prefix + "a") == "2")
            assert cache.state is State.UP


def test_a_server_that_restarts_with_its_data_deletes_nothing(connect, seen, monkeypatch):
    """Just after its start a server answers plain reads before it has read its own log."""
    monkeypatch.setattr("bridge.adapters.worker.Backoff.pause", lambda self: 0.001)
    with consul.durable() as server:
        store = ConfigStore(connect(server.port))
        store.batch([Put(f"filler/{n}", "x" * 3000) for n in range(5000)])
        store.put("config/a", "1")
        with store.watch("config/a", seen) as watch:
            seen.until(("a", "1"))
            server.kill()
            wait_until(lambda: watch.state is State.LOST)
            server.start()
            wait_until(lambda: watch.state is State.UP, 20)
            store.put("config/a", "2")
            seen.until(("a", "2"))
        assert seen == [("a", "1"), ("a", "2")]
