"""`ConfigStore` for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from bridge.adapters.consul import calls
from bridge.adapters.consul.aio.connection import AsyncConsulConnection
from bridge.adapters.consul.aio.watch import AsyncWatch
from bridge.adapters.consul.calls import Ask, Blocking
from bridge.adapters.consul.config import CachedValues, interrupted, key_delivery, watch_name
from bridge.adapters.consul.model import Consistency, Entry, KeyEvent, Operation
from bridge.adapters.consul.watch import KeyDiffer
from bridge.adapters.errors import AdapterError
from bridge.adapters.worker import OnState, State

AsyncKeyWatch: TypeAlias = "AsyncWatch[dict[str, Entry], KeyEvent]"


class AsyncConfigStore:
    """`ConfigStore` for asyncio."""

    def __init__(self, connection: AsyncConsulConnection) -> None:
        self._connection = connection

    async def get(self, key: str, *, consistency: Consistency | None = None) -> Entry | None:
        return await self._connection.run(calls.get(key, consistency))

    async def put(self, key: str, value: bytes | str) -> None:
        await self._connection.run(calls.put(key, value))

    async def compare_and_set(self, key: str, value: bytes | str, index: int) -> bool:
        return await self._connection.run(calls.put(key, value, index))

    async def delete(self, key: str) -> None:
        await self._connection.run(calls.delete(key))

    async def compare_and_delete(self, key: str, index: int) -> bool:
        return await self._connection.run(calls.delete(key, index))

    async def delete_tree(self, prefix: str) -> None:
        await self._connection.run(calls.delete_tree(prefix))

    async def list(self, prefix: str, *, consistency: Consistency | None = None) -> list[Entry]:
        return await self._connection.run(calls.entries(prefix, consistency))

    async def keys(self, prefix: str) -> Sequence[str]:
        return await self._connection.run(calls.keys(prefix))

    async def transaction(self, operations: Sequence[Operation]) -> Sequence[Entry]:
        return await self._connection.run(calls.transaction(operations))

    async def batch(self, operations: Sequence[Operation]) -> None:
        applied = 0
        for ask, size in calls.transactions(operations):
            try:
                await self._connection.run(ask)
            except AdapterError as error:
                if not applied:
                    raise
                raise interrupted(error, applied) from error
            applied += size

    def watch(
        self, key: str, callback: Callable[[KeyEvent], object], *, on_state: OnState | None = None
    ) -> AsyncKeyWatch:
        return self._watch(key, calls.key_state, self._delivery(key, callback), on_state)

    def watch_prefix(
        self,
        prefix: str,
        callback: Callable[[KeyEvent], object],
        *,
        on_state: OnState | None = None,
    ) -> AsyncKeyWatch:
        return self._watch(prefix, calls.prefix_state, self._delivery(prefix, callback), on_state)

    def cache(self, prefix: str, *, on_state: OnState | None = None) -> AsyncConfigCache:
        return AsyncConfigCache(
            lambda cache: self._watch(prefix, calls.prefix_state, cache.taken, cache.told),
            on_state,
        )

    def _watch(
        self,
        key: str,
        read: Callable[[str, Blocking], Ask[tuple[int, dict[str, Entry]]]],
        deliver: Callable[[KeyEvent, float], Awaitable[None]],
        on_state: OnState | None,
    ) -> AsyncKeyWatch:
        name = watch_name(self._connection.settings.key_policy, key)
        return AsyncWatch(
            self._connection, name, lambda at: read(key, at), KeyDiffer(), deliver, on_state
        )

    def _delivery(
        self, key: str, callback: Callable[[KeyEvent], object]
    ) -> Callable[[KeyEvent, float], Awaitable[None]]:
        return key_delivery(self._connection, key, callback).asynchronous


class AsyncConfigCache(CachedValues):
    """`ConfigCache` for asyncio; reading it needs no await."""

    _loaded: asyncio.Event

    def __init__(
        self, start: Callable[[AsyncConfigCache], AsyncKeyWatch], on_state: OnState | None
    ) -> None:
        super().__init__(on_state)
        self._loaded = asyncio.Event()
        self._watch = start(self)

    async def taken(self, event: KeyEvent, lag: float = 0.0) -> None:
        self.take(event)

    async def wait(self, timeout: float = 10.0) -> bool:
        """Whether everything has been read once, within `timeout` seconds."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._loaded.wait(), timeout)
        return self._loaded.is_set()

    @property
    def state(self) -> State:
        return self._watch.state

    async def close(self) -> None:
        await self._watch.close()

    async def __aenter__(self) -> AsyncConfigCache:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()
