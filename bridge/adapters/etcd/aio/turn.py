"""`Turn` for asyncio."""

from __future__ import annotations

import asyncio
import time

from bridge.adapters import conventions as c
from bridge.adapters.errors import AdapterError
from bridge.adapters.etcd.aio.connection import AsyncEtcdCall, AsyncEtcdConnection
from bridge.adapters.etcd.aio.lease import AsyncLease
from bridge.adapters.etcd.aio.watch import wait_for_deletion
from bridge.adapters.etcd.errors import NotHeld
from bridge.adapters.etcd.turn import (
    LOOK_SECONDS,
    Place,
    before_request,
    check,
    enter_request,
    left,
    place_in,
)


class AsyncTurn:
    """`Turn`, to be awaited."""

    def __init__(
        self, connection: AsyncEtcdConnection, operation: str, name: str, ttl: int
    ) -> None:
        self._connection = connection
        self._operation = operation
        self._name = name
        self._ttl = ttl
        self._lease: AsyncLease | None = None
        self._token = 0

    async def take(self, value: bytes, timeout: float | None) -> int:
        """Raises `LockBusy` after `timeout` seconds; then, or cancelled, leaves nothing in etcd."""
        started = time.monotonic()
        deadline = None if timeout is None else started + timeout
        acquired = False
        lease = await AsyncLease.grant(self._connection, self._ttl)
        try:
            with self._connection.traced(self._operation, self._name) as call:
                try:
                    place = await self._enter(call, lease, value)
                    await self._wait(call, place, lease, deadline)
                    acquired = True
                finally:
                    call.set(c.LOCK_ACQUIRED, acquired)
        finally:
            self._connection.meters.lock_wait(time.monotonic() - started, acquired=acquired)
            if not acquired:
                await lease.close()  # and with it our place in the queue
        self._lease, self._token = lease, place.create_revision
        return self._token

    async def give_up(self) -> bool:
        """Revokes the lease; whether it was ours until now."""
        lease, self._lease = self._lease, None
        if lease is None:
            return False
        held = not lease.lost.is_set()
        await lease.close()
        return held

    @property
    def held(self) -> bool:
        return self._lease is not None and not self._lease.lost.is_set()

    @property
    def token(self) -> int:
        """Grows with every holder. Raises `NotHeld`."""
        if not self.held:
            raise NotHeld(self._operation)
        return self._token

    @property
    def lost(self) -> asyncio.Event:
        """Set when it is ours no more. Raises `NotHeld` before it ever was."""
        if self._lease is None:
            raise NotHeld(self._operation)
        return self._lease.lost

    async def _enter(self, call: AsyncEtcdCall, lease: AsyncLease, value: bytes) -> Place:
        # Repeating it changes nothing, so it may be tried on the next endpoint.
        key, request = enter_request(self._name, lease.id, value)
        return place_in(key, await call.invoke("KV.Txn", request, idempotent=True))

    async def _wait(
        self, call: AsyncEtcdCall, place: Place, lease: AsyncLease, deadline: float | None
    ) -> None:
        while not place.is_first:
            check(self._operation, lost=lease.lost.is_set(), deadline=deadline)
            try:
                request = before_request(self._name, place)
                before = await call.invoke("KV.Range", request, idempotent=True)
                if not before.kvs:
                    return
                seconds = min(LOOK_SECONDS, max(left(deadline), 0.001))
                await wait_for_deletion(self._connection, self._operation, before, seconds)
            except AdapterError as error:
                if not error.retryable:
                    raise
                await asyncio.sleep(max(0.0, min(LOOK_SECONDS / 10, left(deadline))))
