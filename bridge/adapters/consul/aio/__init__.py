"""The Consul adapter for asyncio: the same objects, to be awaited.

Needs the extra `consul-async`. Make and close a connection inside one running event loop.
"""

from bridge.adapters.consul.aio.config import AsyncConfigCache, AsyncConfigStore
from bridge.adapters.consul.aio.connection import AsyncConsulConnection
from bridge.adapters.consul.aio.registry import AsyncRegistration, AsyncServiceRegistry
from bridge.adapters.consul.aio.watch import AsyncWatch

__all__ = [
    "AsyncConfigCache",
    "AsyncConfigStore",
    "AsyncConsulConnection",
    "AsyncRegistration",
    "AsyncServiceRegistry",
    "AsyncWatch",
]
