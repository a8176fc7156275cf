"""The plain data of the Consul adapter: what is registered, found, stored and changed."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, TypeAlias

from bridge.adapters.redaction import KeyPolicy, Secret, key_prefix

Consistency: TypeAlias = Literal["default", "consistent", "stale"]

# The agent raises anything shorter to this, silently.
_SHORTEST_DEREGISTRATION = 60.0


@dataclass(frozen=True, slots=True)
class ConsulSettings:
    """How to reach Consul. What is None comes from CONSUL_HTTP_ADDR, _SSL, _SSL_VERIFY, _TOKEN.

    `ca`, `certificate` and `key` are paths of PEM files; with `ca` the scheme is https.
    `timeout` (s) bounds every call, `wait` (s) is how long the server may hold a blocking read.
    Proxy variables and .netrc are not used: a Consul agent is reached directly.
    """

    host: str | None = None
    port: int | None = None
    scheme: Literal["http", "https"] | None = None
    token: Secret | str | None = None
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    datacenter: str | None = None
    consistency: Consistency = "default"
    timeout: float = 10.0
    wait: float = 55.0
    key_policy: KeyPolicy = field(default=key_prefix(1), repr=False)
    transport_spans: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.token, str):
            object.__setattr__(self, "token", Secret(self.token))
        if self.ca and self.scheme is None:
            object.__setattr__(self, "scheme", "https")
        if self.key and not self.certificate:
            raise ValueError("a client key needs its certificate")


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """Consul fetches `url`: 2xx is passing, 429 warning, the rest critical. Times in seconds."""

    url: str
    interval: float = 10.0
    timeout: float = 5.0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    deregister_after: float | None = None

    def definition(self) -> dict[str, Any]:
        made = {"http": self.url, "interval": _go(self.interval), "timeout": _go(self.timeout)}
        headers = {"header": {k: [v] for k, v in self.headers.items()}} if self.headers else {}
        return {**made, **headers, **_deregistration(self.deregister_after)}


@dataclass(frozen=True, slots=True)
class TcpCheck:
    """Consul connects to `host:port`. Times in seconds."""

    host: str
    port: int
    interval: float = 10.0
    timeout: float = 5.0
    deregister_after: float | None = None

    def definition(self) -> dict[str, Any]:
        made = {
            "tcp": f"{self.host}:{self.port}",
            "interval": _go(self.interval),
            "timeout": _go(self.timeout),
        }
        return {**made, **_deregistration(self.deregister_after)}


class Health(str, Enum):
    """The states of a check."""

    PASSING = "passing"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class TtlCheck:
    """We report every third of `ttl` (s); without a report in time the service is critical.

    `health` is asked before each report; without it the service is passing while it lives.
    """

    ttl: float = 15.0
    health: Callable[[], Health] | None = None
    deregister_after: float | None = None

    def definition(self) -> dict[str, Any]:
        return {"ttl": _go(self.ttl), **_deregistration(self.deregister_after)}


Check: TypeAlias = "HttpCheck | TcpCheck | TtlCheck"


@dataclass(frozen=True, slots=True)
class Service:
    """What a service registers. `version` and `environment` travel in its meta.

    Without an `id` it is name, host and port, so that a restarted process takes its own place
    again. Without an `address` Consul gives callers the node's.
    """

    name: str
    port: int
    address: str = ""
    id: str = ""
    tags: Sequence[str] = ()
    meta: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
    environment: str = ""
    check: Check | None = None

    def __post_init__(self) -> None:
        if not self.id:
            host = self.address or socket.gethostname()
            object.__setattr__(self, "id", f"{self.name}-{host}-{self.port}")

    def full_meta(self) -> dict[str, str]:
        own = {"version": self.version, "environment": self.environment}
        return {**self.meta, **{name: value for name, value in own.items() if value}}


@dataclass(frozen=True, slots=True)
class Instance:
    """One registered instance, as discovered; `health` is the worst of its checks."""

    id: str
    service: str
    address: str
    port: int
    node: str
    tags: tuple[str, ...]
    meta: Mapping[str, str]
    health: Health

    @property
    def version(self) -> str:
        return self.meta.get("version", "")

    @property
    def environment(self) -> str:
        return self.meta.get("environment", "")


@dataclass(frozen=True, slots=True)
class Entry:
    """One key with its value. `index` is its ModifyIndex: what compare-and-set compares."""

    key: str = field(repr=False)
    value: bytes = field(repr=False)
    index: int
    created: int
    flags: int = 0

    @property
    def text(self) -> str:
        return self.value.decode()


@dataclass(frozen=True, slots=True)
class KeyEvent:
    """A key came, changed or went. `value` is None when it was deleted."""

    key: str = field(repr=False)
    value: bytes | None = field(repr=False)
    index: int
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Put:
    """Sets a key; with `index` only if it is still at that index (0: only if it is new)."""

    key: str = field(repr=False)
    value: bytes | str = field(repr=False)
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Deletes a key; with `index` only if it is still at that index."""

    key: str = field(repr=False)
    index: int | None = None


@dataclass(frozen=True, slots=True)
class DeleteTree:
    """Deletes every key below a prefix."""

    prefix: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Expect:
    """Changes nothing; fails the transaction unless the key is at `index` (0: absent)."""

    key: str = field(repr=False)
    index: int


Operation: TypeAlias = "Put | Delete | DeleteTree | Expect"


def _go(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


def _deregistration(seconds: float | None) -> dict[str, str]:
    if seconds is None:
        return {}
    if seconds < _SHORTEST_DEREGISTRATION:
        raise ValueError(
            f"deregister_after is {seconds:g} s; Consul makes anything below 60 s a minute"
        )
    return {"DeregisterCriticalServiceAfter": _go(seconds)}
