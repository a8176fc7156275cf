"""Keys and values in etcd: get, put, delete, list, compare-and-set, transactions, batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from aetcd import rpc

from bridge.adapters import conventions as c
from bridge.adapters.errors import Conflict
from bridge.adapters.etcd.connection import EtcdConnection

# etcd's own default limits (--max-txn-ops, --max-request-bytes 1.5 MiB with room for the frame).
MAX_TXN_OPERATIONS = 128
MAX_REQUEST_BYTES = 1_500_000
PAGE_KEYS = 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """One key as it was read. `repr` does not show the value."""

    key: str
    value: bytes
    create_revision: int
    mod_revision: int
    version: int
    has_lease: bool = False

    @property
    def text(self) -> str:
        return self.value.decode("utf-8")

    def __repr__(self) -> str:
        return f"Entry({self.key!r}, mod_revision={self.mod_revision}, version={self.version})"


@dataclass(frozen=True, slots=True)
class Put:
    """An operation of a transaction or a batch."""

    key: str
    value: bytes | str
    lease: int = 0

    def request(self) -> Any:
        put = rpc.PutRequest(key=self.key.encode(), value=to_bytes(self.value), lease=self.lease)
        return rpc.RequestOp(request_put=put)

    @property
    def size(self) -> int:
        return len(self.key.encode()) + len(to_bytes(self.value)) + 32

    def __repr__(self) -> str:
        return f"Put({self.key!r})"


@dataclass(frozen=True, slots=True)
class Delete:
    """An operation of a transaction or a batch; with `prefix` it deletes all keys under `key`."""

    key: str
    prefix: bool = False

    def request(self) -> Any:
        end = range_end(self.key) if self.prefix else b""
        return rpc.RequestOp(
            request_delete_range=rpc.DeleteRangeRequest(key=self.key.encode(), range_end=end)
        )

    @property
    def size(self) -> int:
        return len(self.key.encode()) + 32


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A condition: the key still has this modification revision (0: it does not exist)."""

    key: str
    mod_revision: int

    def request(self) -> Any:
        return rpc.Compare(
            key=self.key.encode(),
            target=rpc.Compare.MOD,
            result=rpc.Compare.EQUAL,
            mod_revision=self.mod_revision,
        )


Operation: TypeAlias = "Put | Delete"


def to_bytes(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else value


def range_end(prefix: str) -> bytes:
    """The first key after all that begin with `prefix` (etcd API, "Key ranges"); "" is all keys."""
    raw = bytearray(prefix.encode())
    while raw and raw[-1] == 0xFF:
        raw.pop()
    if not raw:
        return b"\0"
    raw[-1] += 1
    return bytes(raw)


def range_start(prefix: str) -> bytes:
    return prefix.encode() or b"\0"


def entry_of(kv: Any) -> Entry:
    return Entry(
        kv.key.decode("utf-8", "surrogateescape"),
        kv.value,
        kv.create_revision,
        kv.mod_revision,
        kv.version,
        bool(kv.lease),
    )


class EtcdStore:
    """Reads and writes keys. Keys are text, values bytes (text is sent as UTF-8).

    Every method raises the types of `bridge.adapters.errors`.
    """

    def __init__(self, connection: EtcdConnection) -> None:
        self._connection = connection

    def get(self, key: str, *, serializable: bool = False) -> Entry | None:
        """The key, or None. `serializable` reads the endpoint's own copy: perhaps old, but it
        needs no quorum."""
        request = get_request(key, serializable=serializable)
        with self._connection.traced("range", key) as call:
            answer = call.invoke("KV.Range", request, idempotent=True)
            call.set(c.ETCD_FOUND, bool(answer.kvs))
        return entry_of(answer.kvs[0]) if answer.kvs else None

    def list(self, prefix: str, *, serializable: bool = False) -> tuple[list[Entry], int]:
        """All keys under `prefix` in order, and the revision they are the state of."""
        pages = Pages(range_start(prefix), range_end(prefix), serializable=serializable)
        with self._connection.traced("range", prefix) as call:
            while pages.more:
                pages.take(call.invoke("KV.Range", pages.request(), idempotent=True))
            call.set(c.ETCD_FOUND, bool(pages.found))
        return list(map(entry_of, pages.found)), pages.revision

    def put(self, key: str, value: bytes | str, *, lease: int = 0) -> int:
        """Writes the key; the revision of the write."""
        request = Put(key, value, lease).request().request_put
        with self._connection.traced("put", key) as call:
            return int(call.invoke("KV.Put", request).header.revision)

    def delete(self, key: str, *, prefix: bool = False) -> int:
        """Deletes the key, or all under it; how many there were."""
        request = Delete(key, prefix).request().request_delete_range
        with self._connection.traced("delete", key) as call:
            return int(call.invoke("KV.DeleteRange", request).deleted)

    def compare_and_set(self, key: str, value: bytes | str, *, mod_revision: int) -> int:
        """Writes the key if nobody did since `mod_revision` (0: if it does not exist).

        The revision of the write. Raises `Conflict` when it has changed.
        """
        revision = self.transaction([Unchanged(key, mod_revision)], [Put(key, value)])
        if revision is None:
            raise Conflict("txn")
        return revision

    def transaction(
        self, conditions: Sequence[Unchanged], operations: Sequence[Operation]
    ) -> int | None:
        """All `operations` at once if all `conditions` hold: the revision, or None if not.

        At most `MAX_TXN_OPERATIONS` operations, each key once; `LimitExceeded` or
        `InvalidRequest` otherwise.
        """
        with self._connection.traced("txn", *txn_span(operations)) as call:
            answer = call.invoke("KV.Txn", txn_request(conditions, operations))
            call.set(c.ETCD_TXN_SUCCEEDED, answer.succeeded)
        return int(answer.header.revision) if answer.succeeded else None

    def write_many(self, operations: Iterable[Operation]) -> int:
        """Any number of writes, in transactions under etcd's limits; how many transactions.

        Each transaction is atomic, the whole is not: a failure leaves the earlier ones written.
        A key that comes twice ends up as the last one says.
        """
        count = 0
        for chunk in chunks(operations):
            self.transaction([], chunk)
            count += 1
        return count

    def put_many(self, values: Mapping[str, bytes | str]) -> int:
        return self.write_many(Put(key, value) for key, value in values.items())


# --- requests


def get_request(key: str, *, serializable: bool) -> Any:
    return rpc.RangeRequest(key=key.encode(), serializable=serializable)


def txn_request(conditions: Sequence[Unchanged], operations: Sequence[Operation]) -> Any:
    return rpc.TxnRequest(
        compare=[condition.request() for condition in conditions],
        success=[operation.request() for operation in operations],
    )


def txn_span(operations: Sequence[Operation]) -> tuple[str, dict[str, Any]]:
    """Key and attributes for a transaction's span."""
    key = operations[0].key if operations else ""
    return key, ({c.DB_OPERATION_BATCH_SIZE: len(operations)} if len(operations) > 1 else {})


class Pages:
    """A range that is read in pages, all of one revision: ask `request`, give it to `take`."""

    def __init__(
        self, start: bytes, end: bytes, *, serializable: bool = False, keys_only: bool = False
    ) -> None:
        self._start = start
        self._end = end
        self._serializable = serializable
        self._keys_only = keys_only
        self.revision = 0
        self.found: list[Any] = []
        self.more = True

    def request(self) -> Any:
        return rpc.RangeRequest(
            key=self._start,
            range_end=self._end,
            limit=PAGE_KEYS,
            revision=self.revision,
            serializable=self._serializable,
            keys_only=self._keys_only,
        )

    def take(self, answer: Any) -> None:
        self.revision = self.revision or int(answer.header.revision)
        self.found.extend(answer.kvs)
        self.more = bool(answer.more)
        if self.more:
            self._start = answer.kvs[-1].key + b"\0"


def chunks(operations: Iterable[Operation]) -> Iterator[list[Operation]]:
    """Splits by etcd's limits, and where a key comes again (a transaction takes each key once)."""
    chunk: list[Operation] = []
    keys: set[str] = set()
    size = 0
    for operation in operations:
        alone = isinstance(operation, Delete) and operation.prefix
        full = len(chunk) >= MAX_TXN_OPERATIONS or size + operation.size > MAX_REQUEST_BYTES
        if chunk and (full or alone or operation.key in keys):
            yield chunk
            chunk, keys, size = [], set(), 0
        chunk.append(operation)
        keys.add(operation.key)
        size += operation.size
        if alone:
            yield chunk
            chunk, keys, size = [], set(), 0
    if chunk:
        yield chunk
