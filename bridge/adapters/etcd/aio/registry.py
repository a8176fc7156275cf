"""`ServiceRegistry` for asyncio."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable

from bridge.adapters.errors import AdapterError, LeaseLost
from bridge.adapters.etcd.aio.connection import AsyncEtcdConnection
from bridge.adapters.etcd.aio.lease import AsyncLease
from bridge.adapters.etcd.aio.store import AsyncEtcdStore
from bridge.adapters.etcd.aio.watch import AsyncWatch
from bridge.adapters.etcd.lease import DEFAULT_TTL_SECONDS
from bridge.adapters.etcd.registry import DEFAULT_PREFIX, Instance, Roster
from bridge.adapters.etcd.watch import Event
from bridge.adapters.worker import AsyncWorker, OnState, State, Supervisor


class AsyncServiceRegistry:
    """`ServiceRegistry`, to be awaited."""

    def __init__(self, connection: AsyncEtcdConnection, *, prefix: str = DEFAULT_PREFIX) -> None:
        self._connection = connection
        self._store = AsyncEtcdStore(connection)
        self._prefix = prefix.rstrip("/")

    async def register(
        self,
        instance: Instance,
        *,
        ttl: int = DEFAULT_TTL_SECONDS,
        on_state: OnState | None = None,
    ) -> AsyncRegistration:
        """Registers at once (or raises `AdapterError`) and keeps it so until `close`."""
        key = f"{self._prefix}/{instance.service}/{instance.id}"
        registration = AsyncRegistration(self._connection, key, instance.to_json(), ttl)
        await registration.begin(on_state)
        return registration

    async def discover(self, service: str, *, serializable: bool = False) -> list[Instance]:
        """The instances registered now. `serializable` answers without a quorum, perhaps old."""
        entries, _ = await self._store.list(f"{self._prefix}/{service}/", serializable=serializable)
        return Roster(entries).instances

    async def watch(
        self,
        service: str,
        callback: Callable[[list[Instance]], object],
        *,
        on_state: OnState | None = None,
    ) -> AsyncWatch:
        """Calls back with the whole list now and after every change. Close the watch at the end."""
        prefix = f"{self._prefix}/{service}/"
        entries, revision = await self._store.list(prefix)
        roster = Roster(entries)

        async def tell() -> None:
            result = callback(roster.instances)
            if inspect.isawaitable(result):
                await result

        async def changed(event: Event) -> None:
            roster.change(event)
            await tell()

        await tell()
        return await AsyncWatch.open(
            self._connection,
            prefix,
            changed,
            prefix=True,
            revision=revision,
            known=roster.keys,
            on_state=on_state,
        )


class AsyncRegistration:
    """`Registration` for asyncio; `close` (or `async with`) takes it out at once."""

    def __init__(self, connection: AsyncEtcdConnection, key: str, value: str, ttl: int) -> None:
        self._store = AsyncEtcdStore(connection)
        self._connection = connection
        self._key = key
        self._value = value
        self._ttl = ttl
        self._lease: AsyncLease | None = None
        self._keeper: AsyncWorker | None = None

    async def begin(self, on_state: OnState | None) -> None:
        await self._register()
        supervisor = Supervisor("etcd registration", self._connection.tracing, on_state=on_state)
        supervisor.succeeded()
        self._keeper = AsyncWorker(supervisor, self._keep)
        self._keeper.start()

    @property
    def state(self) -> State:
        return self._keeper.state if self._keeper else State.STARTING

    async def _register(self) -> None:
        lease = await AsyncLease.grant(self._connection, self._ttl)
        try:
            await self._store.put(self._key, self._value, lease=lease.id)
        except (AdapterError, asyncio.CancelledError):
            await lease.close()
            raise
        self._lease = lease

    async def _keep(self) -> float:
        lease = self._lease
        if lease is None:
            await self._register()
        else:
            await lease.lost.wait()
            await lease.close()
            self._lease = None
            raise LeaseLost("etcd registration")
        return 0.0

    async def close(self) -> None:
        """Deregisters. Safe to call twice."""
        if self._keeper is not None:
            await self._keeper.stop()
        lease, self._lease = self._lease, None
        if lease is not None:
            await lease.close()

    async def __aenter__(self) -> AsyncRegistration:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()
