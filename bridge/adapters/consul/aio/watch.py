"""`Watch` for asyncio."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from bridge.adapters.consul.aio.connection import AsyncConsulConnection
from bridge.adapters.consul.calls import Ask, Blocking
from bridge.adapters.consul.watch import AFTER_CHANGE, AFTER_NOTHING, Cursor
from bridge.adapters.errors import AdapterError
from bridge.adapters.worker import AsyncWorker, OnState, State, Supervisor

_S = TypeVar("_S")
_E = TypeVar("_E")


class AsyncWatch(Generic[_S, _E]):
    """`Watch` as an asyncio task; callbacks may be coroutine functions."""

    def __init__(
        self,
        connection: AsyncConsulConnection,
        name: str,
        read: Callable[[Blocking], Ask[tuple[int, _S]]],
        changes_in: Callable[[_S], list[_E]],
        deliver: Callable[[_E, float], Awaitable[None]],
        on_state: OnState | None = None,
    ) -> None:
        self._connection = connection
        self._client = connection.branch()
        self._read = read
        self._changes_in = changes_in
        self._deliver = deliver
        self._cursor = Cursor()
        supervisor = Supervisor(name, connection.tracing, on_state=on_state)
        self._worker = AsyncWorker(supervisor, self._step)
        connection.adopt(self)
        self._worker.start()

    @property
    def state(self) -> State:
        return self._worker.state

    @property
    def error(self) -> AdapterError | None:
        """Why the state is LOST."""
        return self._worker.supervisor.error

    async def close(self) -> None:
        self._connection.forget(self)
        await self._worker.stop()
        await self._client.http.close()

    async def __aenter__(self) -> AsyncWatch[_S, _E]:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def _step(self) -> float:
        try:
            ask = self._read(Blocking(self._cursor.index, self._connection.settings.wait))
            index, state = ask.read(await ask.send(self._client))
        except AdapterError as error:
            self._cursor.reset()
            self._connection.meters.watch_restart(error)
            raise
        arrived = time.monotonic()
        self._cursor.advance(index)
        events = self._changes_in(state)
        for event in events:
            await self._deliver(event, time.monotonic() - arrived)
        return AFTER_CHANGE if events else AFTER_NOTHING
