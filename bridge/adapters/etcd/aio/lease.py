"""`Lease` for asyncio."""

from __future__ import annotations

import asyncio
import time

from aetcd import rpc

from bridge.adapters import conventions as c
from bridge.adapters.errors import AdapterError, LeaseLost
from bridge.adapters.etcd.aio.connection import AsyncEtcdConnection
from bridge.adapters.etcd.lease import (
    DEFAULT_TTL_SECONDS,
    Term,
    check_ttl,
    lease_supervisor,
)
from bridge.adapters.worker import AsyncWorker, OnState, State


class AsyncLease:
    """`Lease`: `await AsyncLease.grant(connection)`, then an async context manager."""

    def __init__(
        self, connection: AsyncEtcdConnection, id_: int, term: Term, on_state: OnState | None
    ) -> None:
        self._connection = connection
        self._term = term
        self.id = id_
        self.ttl = term.ttl
        self.lost = asyncio.Event()
        supervisor = lease_supervisor(connection.tracing, self.ttl, on_state)
        self._renewals = AsyncWorker(supervisor, self._renew)
        self._renewals.start()

    @classmethod
    async def grant(
        cls,
        connection: AsyncEtcdConnection,
        ttl: int = DEFAULT_TTL_SECONDS,
        *,
        on_state: OnState | None = None,
    ) -> AsyncLease:
        check_ttl(ttl)
        asked = time.monotonic()
        with connection.traced("lease grant", attributes={c.ETCD_LEASE_TTL: ttl}) as call:
            answer = await call.invoke("Lease.LeaseGrant", rpc.LeaseGrantRequest(TTL=ttl))
        return cls(connection, int(answer.ID), Term(int(answer.TTL), asked), on_state)

    @property
    def state(self) -> State:
        return self._renewals.state

    async def _renew(self) -> float:
        asked = time.monotonic()
        if (rest := self._term.rest(asked)) > 0:
            return rest
        try:
            with self._connection.quiet():
                left = await self._connection.keep_alive(self.id, self._term.patience(asked))
            if left <= 0:
                raise LeaseLost("lease keepalive")
        except AdapterError as error:
            self._connection.meters.heartbeat(error)
            if self._term.is_over(error):
                self.lost.set()
                raise LeaseLost("lease keepalive") from None
            raise
        self._connection.meters.heartbeat()
        return self._term.renewed(asked, left)

    async def close(self) -> None:
        """Revokes the lease: etcd deletes its keys at once. Safe to call twice."""
        await self._renewals.stop()
        if self.lost.is_set():
            return
        self.lost.set()
        try:
            with self._connection.traced("lease revoke") as call:
                await call.invoke("Lease.LeaseRevoke", rpc.LeaseRevokeRequest(ID=self.id))
        except AdapterError:
            return  # unreachable: it runs out by itself; the span tells

    async def __aenter__(self) -> AsyncLease:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncLease(ttl={self.ttl}, {'lost' if self.lost.is_set() else 'alive'})"
