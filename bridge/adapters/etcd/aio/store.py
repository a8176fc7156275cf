"""`EtcdStore` for asyncio."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bridge.adapters import conventions as c
from bridge.adapters.errors import Conflict
from bridge.adapters.etcd.aio.connection import AsyncEtcdConnection
from bridge.adapters.etcd.store import (
    Delete,
    Entry,
    Operation,
    Pages,
    Put,
    Unchanged,
    chunks,
    entry_of,
    get_request,
    range_end,
    range_start,
    txn_request,
    txn_span,
)


class AsyncEtcdStore:
    """`EtcdStore`, to be awaited."""

    def __init__(self, connection: AsyncEtcdConnection) -> None:
        self._connection = connection

    async def get(self, key: str, *, serializable: bool = False) -> Entry | None:
        request = get_request(key, serializable=serializable)
        with self._connection.traced("range", key) as call:
            answer = await call.invoke("KV.Range", request, idempotent=True)
            call.set(c.ETCD_FOUND, bool(answer.kvs))
        return entry_of(answer.kvs[0]) if answer.kvs else None

    async def list(self, prefix: str, *, serializable: bool = False) -> tuple[list[Entry], int]:
        pages = Pages(range_start(prefix), range_end(prefix), serializable=serializable)
        with self._connection.traced("range", prefix) as call:
            while pages.more:
                pages.take(await call.invoke("KV.Range", pages.request(), idempotent=True))
            call.set(c.ETCD_FOUND, bool(pages.found))
        return list(map(entry_of, pages.found)), pages.revision

    async def put(self, key: str, value: bytes | str, *, lease: int = 0) -> int:
        request = Put(key, value, lease).request().request_put
        with self._connection.traced("put", key) as call:
            return int((await call.invoke("KV.Put", request)).header.revision)

    async def delete(self, key: str, *, prefix: bool = False) -> int:
        request = Delete(key, prefix).request().request_delete_range
        with self._connection.traced("delete", key) as call:
            return int((await call.invoke("KV.DeleteRange", request)).deleted)

    async def compare_and_set(self, key: str, value: bytes | str, *, mod_revision: int) -> int:
        revision = await self.transaction([Unchanged(key, mod_revision)], [Put(key, value)])
        if revision is None:
            raise Conflict("txn")
        return revision

    async def transaction(
        self, conditions: Sequence[Unchanged], operations: Sequence[Operation]
    ) -> int | None:
        with self._connection.traced("txn", *txn_span(operations)) as call:
            answer = await call.invoke("KV.Txn", txn_request(conditions, operations))
            call.set(c.ETCD_TXN_SUCCEEDED, answer.succeeded)
        return int(answer.header.revision) if answer.succeeded else None

    async def write_many(self, operations: Iterable[Operation]) -> int:
        count = 0
        for chunk in chunks(operations):
            await self.transaction([], chunk)
            count += 1
        return count

    async def put_many(self, values: Mapping[str, bytes | str]) -> int:
        return await self.write_many(Put(key, value) for key, value in values.items())
