"""`Lock` for asyncio."""

from __future__ import annotations

import asyncio

from bridge.adapters.errors import AdapterError
from bridge.adapters.etcd.aio.connection import AsyncEtcdConnection
from bridge.adapters.etcd.aio.turn import AsyncTurn
from bridge.adapters.etcd.errors import LockBusy, NotHeld
from bridge.adapters.etcd.lease import DEFAULT_TTL_SECONDS


class AsyncLock:
    """`Lock`, to be awaited: `async with AsyncLock(etcd, "locks/stock") as lock`."""

    def __init__(
        self, connection: AsyncEtcdConnection, name: str, *, ttl: int = DEFAULT_TTL_SECONDS
    ) -> None:
        self._turn = AsyncTurn(connection, "lock", name, ttl)
        self._in_use = False

    async def acquire(self, timeout: float | None = None) -> int:
        """Waits for the lock, at most `timeout` seconds; the fencing token. Raises `LockBusy`."""
        if self._in_use:
            raise RuntimeError("this lock is held or waited for already; it is not reentrant")
        self._in_use = True
        try:
            return await self._turn.take(b"", timeout)
        except BaseException:
            self._in_use = False
            raise

    async def try_acquire(self) -> int | None:
        """The fencing token, or None when somebody else holds the lock; does not wait."""
        try:
            return await self.acquire(timeout=0.0)
        except LockBusy:
            return None

    @property
    def held(self) -> bool:
        return self._turn.held

    @property
    def lost(self) -> asyncio.Event:
        """Set when the lock is no longer ours. Raises `NotHeld` before it is acquired."""
        return self._turn.lost

    @property
    def fencing_token(self) -> int:
        """Grows with every holder. Raises `NotHeld`."""
        return self._turn.token

    async def release(self) -> None:
        """Gives the lock to the next. Raises `NotHeld` when it was lost before or never held."""
        held = await self._turn.give_up()
        self._in_use = False
        if not held:
            raise NotHeld("unlock")

    async def __aenter__(self) -> AsyncLock:
        await self.acquire()
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace_: object) -> None:
        try:
            await self.release()
        except AdapterError:
            if error is None:
                raise
