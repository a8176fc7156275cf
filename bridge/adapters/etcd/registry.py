"""Service registration and discovery in etcd, held by a lease."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import TracebackType

from bridge.adapters.errors import AdapterError, LeaseLost
from bridge.adapters.etcd.connection import EtcdConnection
from bridge.adapters.etcd.lease import DEFAULT_TTL_SECONDS, Lease
from bridge.adapters.etcd.store import Entry, EtcdStore
from bridge.adapters.etcd.watch import Event, Watch
from bridge.adapters.worker import OnState, State, Supervisor, Worker

DEFAULT_PREFIX = "services"
MAX_INSTANCE_BYTES = 64 * 1024
LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Instance:
    """One running instance of a service."""

    service: str
    id: str
    address: str
    port: int
    meta: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_entry(cls, entry: Entry) -> Instance | None:
        """None for what no registry of ours wrote."""
        if len(entry.value) > MAX_INSTANCE_BYTES:
            return None
        try:
            read = json.loads(entry.text)
            return cls(
                str(read["service"]),
                str(read["id"]),
                str(read["address"]),
                int(read["port"]),
                {str(name): str(value) for name, value in dict(read.get("meta") or {}).items()},
            )
        except (ValueError, KeyError, TypeError):
            return None


class Roster:
    """Who is registered, by key."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.keys = [entry.key for entry in entries]
        self._by_key = {e.key: found for e in entries if (found := Instance.from_entry(e))}

    @property
    def instances(self) -> list[Instance]:
        return list(self._by_key.values())

    def change(self, event: Event) -> None:
        found = Instance.from_entry(event.entry) if event.entry else None
        if found is None:
            self._by_key.pop(event.key, None)
        else:
            self._by_key[event.key] = found


class ServiceRegistry:
    """Registers instances under `prefix`, and finds those of others."""

    def __init__(self, connection: EtcdConnection, *, prefix: str = DEFAULT_PREFIX) -> None:
        self._connection = connection
        self._store = EtcdStore(connection)
        self._prefix = prefix.rstrip("/")

    def register(
        self,
        instance: Instance,
        *,
        ttl: int = DEFAULT_TTL_SECONDS,
        on_state: OnState | None = None,
    ) -> Registration:
        """Registers at once (or raises `AdapterError`) and keeps it so until `close`."""
        key = f"{self._prefix}/{instance.service}/{instance.id}"
        return Registration(self._connection, key, instance.to_json(), ttl, on_state)

    def discover(self, service: str, *, serializable: bool = False) -> list[Instance]:
        """The instances registered now. `serializable` answers without a quorum, perhaps old."""
        entries, _ = self._store.list(f"{self._prefix}/{service}/", serializable=serializable)
        return Roster(entries).instances

    def watch(
        self,
        service: str,
        callback: Callable[[list[Instance]], object],
        *,
        on_state: OnState | None = None,
    ) -> Watch:
        """Calls back with the whole list now and after every change. Close the watch at the end."""
        prefix = f"{self._prefix}/{service}/"
        entries, revision = self._store.list(prefix)
        roster = Roster(entries)
        callback(roster.instances)

        def changed(event: Event) -> None:
            roster.change(event)
            callback(roster.instances)

        return Watch(
            self._connection,
            prefix,
            changed,
            prefix=True,
            revision=revision,
            known=roster.keys,
            on_state=on_state,
        )


class Registration:
    """One registered instance; `close` (or `with`) takes it out at once.

    When its lease is lost it registers again with a new one, as long as it takes.
    """

    def __init__(
        self, connection: EtcdConnection, key: str, value: str, ttl: int, on_state: OnState | None
    ) -> None:
        self._store = EtcdStore(connection)
        self._connection = connection
        self._key = key
        self._value = value
        self._ttl = ttl
        self._lease: Lease | None = None
        self._register()
        supervisor = Supervisor("etcd registration", connection.tracing, on_state=on_state)
        supervisor.succeeded()
        self._keeper = Worker(supervisor, self._keep)
        self._keeper.start()

    @property
    def state(self) -> State:
        return self._keeper.state

    def _register(self) -> None:
        lease = Lease(self._connection, self._ttl)
        try:
            self._store.put(self._key, self._value, lease=lease.id)
        except AdapterError:
            lease.close()
            raise
        self._lease = lease

    def _keep(self) -> float:
        lease = self._lease
        if lease is None:
            self._register()
        elif lease.lost.wait(LOOK_SECONDS):
            lease.close()
            self._lease = None
            raise LeaseLost("etcd registration")
        return 0.0

    def close(self) -> None:
        """Deregisters. Never raises; safe to call twice."""
        self._keeper.stop()
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.close()

    def __enter__(self) -> Registration:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace_: TracebackType | None,
    ) -> None:
        self.close()
