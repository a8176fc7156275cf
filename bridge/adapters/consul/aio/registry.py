"""`ServiceRegistry` for asyncio."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import TypeAlias

from bridge.adapters.consul import calls
from bridge.adapters.consul.aio.connection import AsyncConsulConnection
from bridge.adapters.consul.aio.watch import AsyncWatch
from bridge.adapters.consul.calls import Ask
from bridge.adapters.consul.model import Consistency, Health, Instance, Service, TtlCheck
from bridge.adapters.consul.registry import PRESENCE_INTERVAL, instances_delivery
from bridge.adapters.consul.watch import InstanceDiffer
from bridge.adapters.errors import AdapterError, NotFound, ServerFailed, Unavailable
from bridge.adapters.tracing import origin
from bridge.adapters.worker import AsyncWorker, OnState, State, Supervisor

AsyncInstancesWatch: TypeAlias = "AsyncWatch[list[Instance], list[Instance]]"

_log = logging.getLogger(__name__)


class AsyncServiceRegistry:
    """`ServiceRegistry` for asyncio."""

    def __init__(self, connection: AsyncConsulConnection) -> None:
        self._connection = connection

    async def register(
        self, service: Service, *, required: bool = True, on_state: OnState | None = None
    ) -> AsyncRegistration:
        try:
            await self._connection.run(calls.register(service))
        except Unavailable:
            if required:
                raise
        return AsyncRegistration(self._connection, service, on_state)

    async def discover(
        self,
        name: str,
        *,
        tags: Sequence[str] = (),
        healthy: bool = True,
        consistency: Consistency | None = None,
    ) -> list[Instance]:
        return (await self._connection.run(calls.instances(name, tags, healthy, consistency)))[1]

    def watch(
        self,
        name: str,
        callback: Callable[[list[Instance]], object],
        *,
        tags: Sequence[str] = (),
        healthy: bool = True,
        on_state: OnState | None = None,
    ) -> AsyncInstancesWatch:
        return AsyncWatch(
            self._connection,
            f"consul watch {name}",
            lambda at: calls.instances(name, tags, healthy, at=at),
            InstanceDiffer(),
            instances_delivery(self._connection, name, callback).asynchronous,
            on_state,
        )


class AsyncRegistration:
    """`Registration` for asyncio."""

    def __init__(
        self, connection: AsyncConsulConnection, service: Service, on_state: OnState | None
    ) -> None:
        self.service = service
        self._connection = connection
        self._origin = origin()
        self._health = Health.PASSING
        self._closed = False
        supervisor = Supervisor(
            f"consul registration {service.name}", connection.tracing, on_state=on_state
        )
        self._client = connection.branch()
        self._worker = AsyncWorker(supervisor, self._step)
        connection.adopt(self)
        self._worker.start()

    @property
    def state(self) -> State:
        return self._worker.state

    async def report(self, health: Health) -> None:
        self._health = health
        await self._connection.run(calls.report(self.service.id, health))

    async def deregister(self) -> None:
        self._closed = True
        self._connection.forget(self)
        await self._worker.stop()
        await self._client.http.close()
        with contextlib.suppress(NotFound):  # the agent may have forgotten it
            await self._connection.run(calls.deregister(self.service.id))

    async def close(self) -> None:
        if self._closed:
            return
        try:
            await self.deregister()
        except AdapterError as error:
            _log.warning("%s is still registered: %s", self.service.name, error)

    async def __aenter__(self) -> AsyncRegistration:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def _step(self) -> float:
        check = self.service.check
        if isinstance(check, TtlCheck):
            await self._heartbeat(check)
            return check.ttl / 3
        if not await self._quietly(calls.is_registered(self.service.id)):
            await self._register_again()
        return PRESENCE_INTERVAL

    async def _heartbeat(self, check: TtlCheck) -> None:
        health = check.health() if check.health else self._health
        ask = calls.report(self.service.id, health)
        try:
            await self._quietly(ask)
        except (NotFound, ServerFailed) as error:
            self._connection.meters.heartbeat(error)
            if await self._quietly(calls.is_registered(self.service.id)):
                raise
            await self._register_again()
            await self._quietly(ask)
        except AdapterError as error:
            self._connection.meters.heartbeat(error)
            raise
        self._connection.meters.heartbeat()

    async def _quietly(self, ask: Ask[bool]) -> bool:
        return ask.read(await ask.send(self._client))

    async def _register_again(self) -> None:
        name = f"consul registration {self.service.name} renewed"
        with self._connection.tracing.background(name, self._origin):
            await self._connection.run(calls.register(self.service))
