"""`ConsulConnection` for asyncio."""

from __future__ import annotations

import contextlib
from typing import Protocol, TypeVar

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from bridge.adapters.consul.aio.client import AsyncTracedConsul
from bridge.adapters.consul.calls import Ask
from bridge.adapters.consul.connection import Common
from bridge.adapters.consul.model import ConsulSettings

_T = TypeVar("_T")


class AsyncClosable(Protocol):
    """What a connection ends before itself."""

    async def close(self) -> None: ...


class AsyncConsulConnection(Common):
    """`ConsulConnection` for asyncio; `client` is py-consul's asyncio client, traced."""

    def __init__(
        self,
        settings: ConsulSettings | None = None,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        super().__init__(settings, tracer_provider=tracer_provider, meter_provider=meter_provider)
        self.client = AsyncTracedConsul(self.settings, self.tracing)
        self._children: list[AsyncClosable] = []

    async def run(self, ask: Ask[_T]) -> _T:
        """One call; raises an `AdapterError`."""
        return ask.read(await ask.send(self.client))

    def branch(self) -> AsyncTracedConsul:
        """A client for one watch: it makes no spans."""
        return AsyncTracedConsul(self.settings, self.tracing, self.client.credentials)

    def adopt(self, child: AsyncClosable) -> None:
        self._children.append(child)

    def forget(self, child: AsyncClosable) -> None:
        with contextlib.suppress(ValueError):
            self._children.remove(child)

    async def close(self) -> None:
        """Ends watches, registrations and sockets. Calls after it raise `Closed`."""
        for child in list(self._children):
            await child.close()
        await self.client.http.close()

    async def __aenter__(self) -> AsyncConsulConnection:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()
