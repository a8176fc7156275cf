"""Consul: service registration and discovery, configuration, watches. Asyncio is in `.aio`."""

from bridge.adapters.consul.config import BatchInterrupted, ConfigCache, ConfigStore
from bridge.adapters.consul.connection import ConsulConnection
from bridge.adapters.consul.model import (
    ConsulSettings,
    Delete,
    DeleteTree,
    Entry,
    Expect,
    Health,
    HttpCheck,
    Instance,
    KeyEvent,
    Put,
    Service,
    TcpCheck,
    TtlCheck,
)
from bridge.adapters.consul.registry import Registration, ServiceRegistry
from bridge.adapters.consul.watch import Watch

__all__ = [
    "BatchInterrupted",
    "ConfigCache",
    "ConfigStore",
    "ConsulConnection",
    "ConsulSettings",
    "Delete",
    "DeleteTree",
    "Entry",
    "Expect",
    "Health",
    "HttpCheck",
    "Instance",
    "KeyEvent",
    "Put",
    "Registration",
    "Service",
    "ServiceRegistry",
    "TcpCheck",
    "TtlCheck",
    "Watch",
]
