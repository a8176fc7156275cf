"""The etcd adapter for asyncio: the same objects, to be awaited.

Make and close a connection inside one running event loop.
"""

from bridge.adapters.etcd.aio.connection import AsyncEtcdConnection
from bridge.adapters.etcd.aio.election import AsyncElection
from bridge.adapters.etcd.aio.lease import AsyncLease
from bridge.adapters.etcd.aio.lock import AsyncLock
from bridge.adapters.etcd.aio.registry import AsyncRegistration, AsyncServiceRegistry
from bridge.adapters.etcd.aio.store import AsyncEtcdStore
from bridge.adapters.etcd.aio.watch import AsyncWatch

__all__ = [
    "AsyncElection",
    "AsyncEtcdConnection",
    "AsyncEtcdStore",
    "AsyncLease",
    "AsyncLock",
    "AsyncRegistration",
    "AsyncServiceRegistry",
    "AsyncWatch",
]
