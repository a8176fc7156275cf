"""Keys and values on a real etcd."""

from __future__ import annotations

import pytest

from bridge.adapters.errors import Conflict, InvalidRequest, LimitExceeded
from bridge.adapters.etcd import Delete, EtcdConnection, EtcdStore, Put, Unchanged
from bridge.adapters.etcd.store import chunks, range_end
from tests.bridge.adapters.canaries import Canaries
from tests.servers.watchers import Telemetry


@pytest.fixture
def store(etcd: EtcdConnection) -> EtcdStore:
    return EtcdStore(etcd)


def test_a_missing_key_is_none_and_no_error(store: EtcdStore, telemetry: Telemetry) -> None:
    assert store.get("missing/key") is None
    span = telemetry.span("range missing/")
    assert span.status.is_unset
    assert span.attributes is not None
    assert span.attributes["etcd.found"] is False


def test_what_was_put_is_read(store: EtcdStore) -> None:
    revision = store.put("store/a", "EUR")
    entry = store.get("store/a")
    assert entry is not None
    assert (entry.text, entry.mod_revision, entry.version) == ("EUR", revision, 1)
    assert "EUR" not in repr(entry)


def test_any_bytes_are_a_value(store: EtcdStore) -> None:
    store.put("store/bytes", b"\x00\xff")
    entry = store.get("store/bytes")
    assert entry is not None
    assert entry.value == b"\x00\xff"


def test_delete_counts_what_was_there(store: EtcdStore) -> None:
    store.put_many({"del/a": "1", "del/b": "2"})
    assert store.delete("del/a") == 1
    assert store.delete("del/a") == 0
    assert store.delete("del/", prefix=True) == 1


def test_list_reads_more_than_a_page_at_one_revision(store: EtcdStore) -> None:
    store.put_many({f"many/{number:04}": str(number) for number in range(1500)})
    entries, revision = store.list("many/")
    assert [entry.text for entry in entries] == [str(number) for number in range(1500)]
    assert revision >= max(entry.mod_revision for entry in entries)


def test_list_does_not_reach_the_next_prefix(store: EtcdStore) -> None:
    store.put_many({"p/a": "1", "p0": "2", "pa": "3"})
    assert [entry.key for entry in store.list("p/")[0]] == ["p/a"]


@pytest.mark.parametrize(("prefix", "end"), [("a", b"b"), ("a/", b"a0"), ("", b"\0")])
def test_the_range_of_a_prefix_ends_at_the_next_key(prefix: str, end: bytes) -> None:
    assert range_end(prefix) == end


def test_compare_and_set_lets_one_of_two_win(store: EtcdStore) -> None:
    first = store.compare_and_set("cas/a", "1", mod_revision=0)
    store.compare_and_set("cas/a", "2", mod_revision=first)
    with pytest.raises(Conflict):
        store.compare_and_set("cas/a", "3", mod_revision=first)
    entry = store.get("cas/a")
    assert entry is not None
    assert entry.text == "2"


def test_a_lost_race_is_no_error_in_the_trace(store: EtcdStore, telemetry: Telemetry) -> None:
    store.put("cas/race", "1")
    with pytest.raises(Conflict):
        store.compare_and_set("cas/race", "2", mod_revision=0)
    span = telemetry.span("txn cas/")
    assert span.status.is_unset
    assert span.attributes is not None
    assert span.attributes["etcd.txn.succeeded"] is False


def test_a_transaction_is_all_or_nothing(store: EtcdStore) -> None:
    store.put("txn/old", "1")
    conditions = [Unchanged("txn/new", 0)]
    assert store.transaction(conditions, [Put("txn/new", "1"), Delete("txn/old")]) is not None
    assert store.transaction(conditions, [Put("txn/other", "1")]) is None
    assert [entry.key for entry in store.list("txn/")[0]] == ["txn/new"]


def test_more_operations_than_a_transaction_takes_are_refused(store: EtcdStore) -> None:
    with pytest.raises(LimitExceeded):
        store.transaction([], [Put(f"limit/{n}", "x") for n in range(129)])


def test_the_same_key_twice_in_a_transaction_is_refused(store: EtcdStore) -> None:
    with pytest.raises(InvalidRequest):
        store.transaction([], [Put("twice", "1"), Put("twice", "2")])


def test_a_batch_goes_over_every_limit_of_a_transaction(store: EtcdStore) -> None:
    big = "x" * 400_000
    writes = [Put(f"batch/{n}", big if n < 8 else str(n)) for n in range(300)]
    assert store.write_many([*writes, Put("batch/299", "last")]) > 2
    entries = {entry.key: entry.text for entry in store.list("batch/")[0]}
    assert len(entries) == 300
    assert entries["batch/299"] == "last"


def test_a_prefix_deletion_in_a_batch_keeps_its_place() -> None:
    split = list(chunks([Put("a/1", "x"), Delete("a/", prefix=True), Put("a/2", "y")]))
    assert split == [[Put("a/1", "x")], [Delete("a/", prefix=True)], [Put("a/2", "y")]]


def test_a_value_over_the_servers_limit_is_refused(store: EtcdStore) -> None:
    with pytest.raises(LimitExceeded):
        store.put("too/big", b"x" * 3_000_000)


def test_keys_and_values_stay_out_of_telemetry(store: EtcdStore, canaries: Canaries) -> None:
    key, value = canaries.make("key"), canaries.make("value")
    store.put(f"secret/{key}", value)
    store.get(f"secret/{key}")
    with pytest.raises(Conflict):
        store.compare_and_set(f"secret/{key}", value, mod_revision=0)


def test_a_call_is_a_client_span_with_todays_names(store: EtcdStore, telemetry: Telemetry) -> None:
    store.put("config/shop/currency", "EUR")
    span = telemetry.span("put config/")
    assert span.kind.name == "CLIENT"
    assert span.attributes is not None
    assert {
        "db.system.name": "etcd",
        "db.operation.name": "put",
        "db.response.status_code": "OK",
        "server.address": "127.0.0.1",
        "etcd.key": "config/",
    }.items() <= dict(span.attributes).items()
