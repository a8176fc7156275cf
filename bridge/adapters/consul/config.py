"""Configuration in Consul's key-value store: read, write, compare-and-set, watch, cache."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

from opentelemetry.util.types import AttributeValue

from bridge.adapters import conventions as c
from bridge.adapters.consul import calls
from bridge.adapters.consul.connection import Common, ConsulConnection
from bridge.adapters.consul.model import Consistency, Entry, KeyEvent, Operation
from bridge.adapters.consul.watch import KeyDiffer, Watch
from bridge.adapters.errors import AdapterError
from bridge.adapters.redaction import KeyPolicy
from bridge.adapters.worker import Change, Delivery, OnState, State

KeyWatch: TypeAlias = "Watch[dict[str, Entry], KeyEvent]"


class BatchInterrupted(AdapterError):
    """A batch failed on its way: the first `applied` operations hold, the others do not."""

    text = "the batch stopped on its way; the operations before are applied"

    def __init__(self, operation: str = "", *, code: str = "", applied: int = 0) -> None:
        super().__init__(operation, code=code)
        self.applied = applied


class ConfigStore:
    """Keys and values over one connection. Keys have no leading slash; values are bytes.

    Every method raises `AdapterError`; a missing key is None, a lost compare-and-set False.
    """

    def __init__(self, connection: ConsulConnection) -> None:
        self._connection = connection

    def get(self, key: str, *, consistency: Consistency | None = None) -> Entry | None:
        return self._connection.run(calls.get(key, consistency))

    def put(self, key: str, value: bytes | str) -> None:
        """At most 512 KiB; more raises `LimitExceeded`."""
        self._connection.run(calls.put(key, value))

    def compare_and_set(self, key: str, value: bytes | str, index: int) -> bool:
        """Sets the key if it is still at `index` (an `Entry.index`; 0: if there is no such key)."""
        return self._connection.run(calls.put(key, value, index))

    def delete(self, key: str) -> None:
        """Deleting what is not there is no error."""
        self._connection.run(calls.delete(key))

    def compare_and_delete(self, key: str, index: int) -> bool:
        return self._connection.run(calls.delete(key, index))

    def delete_tree(self, prefix: str) -> None:
        self._connection.run(calls.delete_tree(prefix))

    def list(self, prefix: str, *, consistency: Consistency | None = None) -> list[Entry]:
        return self._connection.run(calls.entries(prefix, consistency))

    def keys(self, prefix: str) -> Sequence[str]:
        return self._connection.run(calls.keys(prefix))

    def transaction(self, operations: Sequence[Operation]) -> Sequence[Entry]:
        """All or nothing; `Conflict` when an index did not fit.

        At most 64 operations and 512 KiB of JSON (values count 4/3): `LimitExceeded` beyond.
        """
        return self._connection.run(calls.transaction(operations))

    def batch(self, operations: Sequence[Operation]) -> None:
        """Any number of operations in as many transactions as it takes, in order.

        Each transaction holds or fails as a whole, the batch does not: `BatchInterrupted.applied`
        says how far it came.
        """
        applied = 0
        for ask, size in calls.transactions(operations):
            try:
                self._connection.run(ask)
            except AdapterError as error:
                if not applied:
                    raise
                raise interrupted(error, applied) from error
            applied += size

    def watch(
        self, key: str, callback: Callable[[KeyEvent], object], *, on_state: OnState | None = None
    ) -> KeyWatch:
        """Calls `callback` on a thread of its own: now if the key is there, then on each change."""
        return self._watch(key, calls.key_state, self._delivery(key, callback), on_state)

    def watch_prefix(
        self,
        prefix: str,
        callback: Callable[[KeyEvent], object],
        *,
        on_state: OnState | None = None,
    ) -> KeyWatch:
        """The same for every key below a prefix."""
        return self._watch(prefix, calls.prefix_state, self._delivery(prefix, callback), on_state)

    def cache(self, prefix: str, *, on_state: OnState | None = None) -> ConfigCache:
        """A copy of every key below a prefix, in memory and kept true by a watch."""
        return ConfigCache(
            lambda cache: self._watch(prefix, calls.prefix_state, cache.take, cache.told), on_state
        )

    def _watch(
        self,
        key: str,
        read: Callable[[str, calls.Blocking], calls.Ask[tuple[int, dict[str, Entry]]]],
        deliver: Callable[[KeyEvent, float], None],
        on_state: OnState | None,
    ) -> KeyWatch:
        name = watch_name(self._connection.settings.key_policy, key)
        return Watch(
            self._connection, name, lambda at: read(key, at), KeyDiffer(), deliver, on_state
        )

    def _delivery(self, key: str, callback: Callable[[KeyEvent], object]) -> Delivery[KeyEvent]:
        return key_delivery(self._connection, key, callback)


class CachedValues:
    """The copy itself: what `ConfigCache` and `AsyncConfigCache` read."""

    _loaded: threading.Event | asyncio.Event

    def __init__(self, on_state: OnState | None) -> None:
        self._on_state = on_state
        self._values: dict[str, bytes] = {}
        self.get = self._values.get  # (key, default=None) -> bytes | None, at a dict's speed

    def text(self, key: str, default: str = "") -> str:
        value = self._values.get(key)
        return default if value is None else value.decode()

    def snapshot(self) -> dict[str, bytes]:
        return dict(self._values)

    def take(self, event: KeyEvent, lag: float = 0.0) -> None:
        if event.value is None:
            self._values.pop(event.key, None)
        else:
            self._values[event.key] = event.value

    def told(self, change: Change) -> None:
        if change.state is State.UP:
            self._loaded.set()
        if self._on_state:
            self._on_state(change)


class ConfigCache(CachedValues):
    """Reads cost a dictionary lookup. While Consul is away the last known values stay."""

    _loaded: threading.Event

    def __init__(self, start: Callable[[ConfigCache], KeyWatch], on_state: OnState | None) -> None:
        super().__init__(on_state)
        self._loaded = threading.Event()
        self._watch = start(self)

    def wait(self, timeout: float = 10.0) -> bool:
        """Whether everything has been read once, within `timeout` seconds."""
        return self._loaded.wait(timeout)

    @property
    def state(self) -> State:
        """UP while the copy is kept true."""
        return self._watch.state

    def close(self) -> None:
        self._watch.close()

    def __enter__(self) -> ConfigCache:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def watch_name(policy: KeyPolicy, key: str) -> str:
    shown = policy(key)
    return f"consul watch {shown}" if shown else "consul watch"


def key_delivery(
    connection: Common, key: str, callback: Callable[[KeyEvent], object]
) -> Delivery[KeyEvent]:
    policy = connection.settings.key_policy
    return Delivery(
        watch_name(policy, key),
        callback,
        connection.tracing,
        connection.meters,
        lambda event: _attributes(policy, event),
    )


def _attributes(policy: KeyPolicy, event: KeyEvent) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {
        c.CONSUL_INDEX: event.index,
        c.CONSUL_FOUND: not event.deleted,
    }
    if shown := policy(event.key):
        attributes[c.CONSUL_KEY] = shown
    return attributes


def interrupted(error: AdapterError, applied: int) -> BatchInterrupted:
    return BatchInterrupted("consul txn", code=error.code, applied=applied)
