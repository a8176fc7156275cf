"""`Election` for asyncio."""

from __future__ import annotations

import asyncio

from bridge.adapters import conventions as c
from bridge.adapters.etcd.aio.connection import AsyncEtcdConnection
from bridge.adapters.etcd.aio.turn import AsyncTurn
from bridge.adapters.etcd.lease import DEFAULT_TTL_SECONDS
from bridge.adapters.etcd.store import Entry, entry_of, to_bytes
from bridge.adapters.etcd.turn import head_request


class AsyncElection:
    """`Election`, to be awaited; an async context manager that resigns at its end."""

    def __init__(
        self, connection: AsyncEtcdConnection, name: str, *, ttl: int = DEFAULT_TTL_SECONDS
    ) -> None:
        self._connection = connection
        self._name = name
        self._turn = AsyncTurn(connection, "campaign", name, ttl)

    async def campaign(self, value: bytes | str, timeout: float | None = None) -> int:
        """Waits to become the leader, who is known by `value`; the term. Raises `LockBusy`."""
        if self._turn.held:
            raise RuntimeError("this election's candidate leads already; resign first")
        return await self._turn.take(to_bytes(value), timeout)

    async def leader(self) -> Entry | None:
        """Who leads now: the entry whose value was given to `campaign`; None without one."""
        with self._connection.traced("leader", self._name) as call:
            answer = await call.invoke("KV.Range", head_request(self._name), idempotent=True)
            call.set(c.ETCD_FOUND, bool(answer.kvs))
        return entry_of(answer.kvs[0]) if answer.kvs else None

    @property
    def leads(self) -> bool:
        return self._turn.held

    @property
    def lost(self) -> asyncio.Event:
        """Set when the leadership is gone. Raises `NotHeld` before there was one."""
        return self._turn.lost

    @property
    def term(self) -> int:
        """Grows with every leader: a fencing token. Raises `NotHeld`."""
        return self._turn.token

    async def resign(self) -> None:
        """Lets the next candidate lead. Nothing happens without leadership."""
        await self._turn.give_up()

    async def __aenter__(self) -> AsyncElection:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.resign()
