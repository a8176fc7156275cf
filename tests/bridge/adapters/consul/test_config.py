import pytest

from bridge.adapters.consul import BatchInterrupted, Delete, DeleteTree, Expect, Put
from bridge.adapters.errors import Conflict, LimitExceeded
from tests.servers.process import wait_until


def test_a_missing_key_is_none_and_no_failure(store, prefix, telemetry):
    assert store.get(prefix + "none") is None
    span = telemetry.span(f"get {prefix}")
    assert span.status.is_unset
    assert span.attributes["consul.found"] is False


def test_deleting_a_missing_key_is_nothing(store, prefix):
    store.delete(prefix + "none")


def test_listing_an_empty_prefix(store, prefix):
    assert store.list(prefix) == []
    assert store.keys(prefix) == []


def test_put_and_get(store, prefix):
    store.put(prefix + "url", "postgres://db")
    entry = store.get(prefix + "url")
    assert (entry.key, entry.value, entry.text) == (
        prefix + "url",
        b"postgres://db",
        "postgres://db",
    )
    assert entry.index == entry.created > 0


@pytest.mark.parametrize("value", [b"", b"\x00\xff", "grüße".encode(), b"x" * 512 * 1024])
def test_values_are_any_bytes_up_to_512_kib(store, prefix, value):
    store.put(prefix + "v", value)
    assert store.get(prefix + "v").value == value


def test_a_value_over_512_kib(store, prefix):
    with pytest.raises(LimitExceeded):
        store.put(prefix + "v", b"x" * (512 * 1024 + 1))


def test_odd_keys(store, prefix):
    for key in ("a b", "a%2Fb", "a?b=c", "ü/#"):
        store.put(prefix + key, key)
        assert store.get(prefix + key).text == key
    assert len(store.list(prefix)) == 4


def test_a_leading_slash_is_refused_with_the_reason(store):
    with pytest.raises(ValueError, match="does not begin with a slash"):
        store.get("/config/url")


def test_compare_and_set(store, prefix):
    key = prefix + "n"
    assert store.compare_and_set(key, "1", 0)
    assert not store.compare_and_set(key, "again", 0)
    index = store.get(key).index
    assert store.compare_and_set(key, "2", index)
    assert not store.compare_and_set(key, "3", index)
    assert store.get(key).text == "2"


def test_a_lost_compare_and_set_is_no_error_in_the_trace(store, prefix, telemetry):
    store.compare_and_set(prefix + "n", "1", 999)
    assert telemetry.span(f"cas {prefix}").status.is_unset


def test_compare_and_delete(store, prefix):
    store.put(prefix + "n", "1")
    index = store.get(prefix + "n").index
    assert not store.compare_and_delete(prefix + "n", index - 1)
    assert store.compare_and_delete(prefix + "n", index)
    assert store.get(prefix + "n") is None


def test_list_keys_and_delete_tree(store, prefix):
    for name in ("a", "b/c", "b/d"):
        store.put(prefix + name, name)
    assert {entry.key: entry.text for entry in store.list(prefix + "b/")} == {
        prefix + "b/c": "b/c",
        prefix + "b/d": "b/d",
    }
    assert list(store.keys(prefix)) == [prefix + "a", prefix + "b/c", prefix + "b/d"]
    store.delete_tree(prefix + "b/")
    assert list(store.keys(prefix)) == [prefix + "a"]


@pytest.mark.parametrize("consistency", ["default", "consistent", "stale"])
def test_consistency_is_the_caller_s_choice(store, prefix, telemetry, consistency):
    store.get(prefix + "a", consistency=consistency)
    shown = telemetry.span(f"get {prefix}").attributes.get("consul.consistency", "default")
    assert shown == consistency


def test_a_transaction_holds_as_a_whole(store, prefix):
    store.put(prefix + "old", "1")
    entries = store.transaction(
        [Put(prefix + "a", "1"), Delete(prefix + "old"), Expect(prefix + "none", 0)]
    )
    assert [entry.key for entry in entries] == [prefix + "a"]
    assert list(store.keys(prefix)) == [prefix + "a"]


def test_a_transaction_fails_as_a_whole(store, prefix, telemetry):
    store.put(prefix + "a", "1")
    index = store.get(prefix + "a").index
    with pytest.raises(Conflict):
        store.transaction([Put(prefix + "b", "1"), Expect(prefix + "a", index + 1)])
    assert store.get(prefix + "b") is None
    assert telemetry.span("txn").status.is_unset


def test_a_transaction_over_the_limits_is_refused_before_it_is_sent(store, prefix):
    with pytest.raises(LimitExceeded):
        store.transaction([Put(f"{prefix}{n}", "x") for n in range(65)])
    with pytest.raises(LimitExceeded):
        store.transaction([Put(f"{prefix}{n}", "x" * 300_000) for n in range(2)])
    assert store.keys(prefix) == []


def test_a_batch_is_cut_at_64_operations(store, prefix, telemetry):
    store.batch([Put(f"{prefix}{n:03}", str(n)) for n in range(150)])
    assert len(store.keys(prefix)) == 150
    sizes = [span.attributes["db.operation.batch.size"] for span in telemetry.spans("txn")]
    assert sizes == [64, 64, 22]


def test_a_batch_is_cut_at_512_kib(store, prefix, telemetry):
    store.batch([Put(f"{prefix}{n}", "x" * 150_000) for n in range(5)])
    assert len(store.keys(prefix)) == 5
    sizes = [span.attributes["db.operation.batch.size"] for span in telemetry.spans("txn")]
    assert sizes == [2, 2, 1]


def test_a_batch_that_stops_says_how_far_it_came(store, prefix):
    operations = [Put(f"{prefix}{n:03}", "x") for n in range(64)]
    with pytest.raises(BatchInterrupted) as caught:
        store.batch([*operations, Expect(prefix + "none", 77)])
    assert caught.value.applied == 64
    assert len(store.keys(prefix)) == 64


def test_a_batch_that_fails_at_once_is_a_plain_conflict(store, prefix):
    with pytest.raises(Conflict):
        store.batch([Expect(prefix + "none", 77)])


def test_an_empty_batch_asks_nothing(store, telemetry):
    store.batch([])
    assert telemetry.spans() == []


def test_delete_tree_and_compare_in_a_transaction(store, prefix):
    store.batch([Put(f"{prefix}t/{n}", "x") for n in range(3)])
    index = store.get(f"{prefix}t/0").index
    store.transaction([Delete(f"{prefix}t/0", index), DeleteTree(f"{prefix}t/")])
    assert store.keys(prefix) == []
    store.transaction([Put(f"{prefix}n", "1", index=0)])
    with pytest.raises(Conflict):
        store.transaction([Put(f"{prefix}n", "2", index=0)])


def test_the_cache_follows_the_store(store, prefix):
    store.put(prefix + "a", "1")
    with store.cache(prefix) as cache:
        assert cache.wait(5)
        assert cache.get(prefix + "a") == b"1"
        assert cache.get(prefix + "none") is None
        assert cache.text(prefix + "none", "default") == "default"
        store.put(prefix + "a", "2")
        wait_until(lambda: cache.text(prefix + "a") == "2", 2)
        store.delete(prefix + "a")
        wait_until(lambda: cache.snapshot() == {}, 2)


def test_reading_the_cache_makes_no_span(store, prefix, telemetry):
    with store.cache(prefix) as cache:
        cache.wait(5)
        before = len(telemetry.spans())
        cache.get(prefix + "a")
        assert len(telemetry.spans()) == before


def test_the_cache_of_an_empty_prefix_is_loaded(store, prefix):
    with store.cache(prefix) as cache:
        assert cache.wait(5)
        assert cache.snapshot() == {}


def test_no_value_or_last_segment_of_a_key_leaves(store, prefix, canaries):
    key, value = canaries.make("key"), canaries.make("value")
    store.put(prefix + key, value)
    entry = store.get(prefix + key)
    store.list(prefix)
    store.transaction([Put(prefix + key, value)])
    with pytest.raises(Conflict):
        store.transaction([Put(prefix + key, value, index=1)])
    assert key not in repr(entry)
    assert value not in repr([entry, Put(key, value)])


def test_the_whole_trace_of_a_request(store, prefix, telemetry):
    with telemetry.tracer.start_as_current_span("GET /checkout") as request:
        store.get(prefix + "a")
        store.put(prefix + "a", "1")
    names = [f"get {prefix}", f"put {prefix}"]
    for name in names:
        span = telemetry.span(name)
        assert span.parent.span_id == request.get_span_context().span_id
        assert span.kind.name == "CLIENT"
        assert span.attributes["db.system.name"] == "consul"
        assert span.attributes["db.operation.name"] == name.split()[0]
        assert span.attributes["server.address"] == "127.0.0.1"
        assert span.attributes["consul.key"] == prefix
