"""etcd, traced: keys, watches, leases, locks, elections and service registration.

    with EtcdConnection(["127.0.0.1:2379"]) as etcd:
        EtcdStore(etcd).put("config/shop/currency", "EUR")
        with Lock(etcd, "locks/stock") as lock:
            write_stock(fencing_token=lock.fencing_token)

Needs the extra `jaeger2otlp[etcd]`.
"""

from bridge.adapters.etcd.cluster import Tls
from bridge.adapters.etcd.connection import EtcdConnection
from bridge.adapters.etcd.election import Election
from bridge.adapters.etcd.errors import Compacted, LockBusy, NotHeld
from bridge.adapters.etcd.lease import Lease
from bridge.adapters.etcd.lock import Lock
from bridge.adapters.etcd.registry import Instance, Registration, ServiceRegistry
from bridge.adapters.etcd.store import Delete, Entry, EtcdStore, Put, Unchanged
from bridge.adapters.etcd.watch import Event, Watch

__all__ = [
    "Compacted",
    "Delete",
    "Election",
    "Entry",
    "EtcdConnection",
    "EtcdStore",
    "Event",
    "Instance",
    "Lease",
    "Lock",
    "LockBusy",
    "NotHeld",
    "Put",
    "Registration",
    "ServiceRegistry",
    "Tls",
    "Unchanged",
    "Watch",
]
