"""Watches: blocking reads that survive restarts, report deletions and do not run hot.

Consul's index goes up with any change near the key, starts again when the server does, and never
moves for a key that is not there. So: an index that fell starts from nothing; a read that brought
no change is paced; what changed is decided by comparing what was known with what there is.
A watch is about state, not about a stream: changes that come while a callback runs are seen
together, the last one wins.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

from bridge.adapters.consul.calls import Ask, Blocking
from bridge.adapters.consul.connection import ConsulConnection
from bridge.adapters.consul.model import Entry, Instance, KeyEvent
from bridge.adapters.errors import AdapterError
from bridge.adapters.worker import OnState, State, Supervisor, Worker

# Seconds before the next read: after a change (so that 50 a second are the most) and after a read
# that brought none (unrelated writes, a missing key).
AFTER_CHANGE = 0.02
AFTER_NOTHING = 0.25

_S = TypeVar("_S")
_E = TypeVar("_E")


class KeyDiffer:
    """What came, changed and went since the last look, by index and value, oldest first."""

    def __init__(self) -> None:
        self.known: dict[str, Entry] = {}

    def __call__(self, state: dict[str, Entry]) -> list[KeyEvent]:
        known, self.known = self.known, state
        gone = [KeyEvent(key, None, known[key].index, True) for key in known.keys() - state.keys()]
        new = [
            KeyEvent(entry.key, entry.value, entry.index)
            for entry in state.values()
            if not _same(known.get(entry.key), entry)
        ]
        return gone + sorted(new, key=lambda event: event.index)


def _same(before: Entry | None, now: Entry) -> bool:
    # A restarted server may give the same index to another value.
    return before is not None and before.index == now.index and before.value == now.value


class InstanceDiffer:
    """The whole list, whenever anything in it changed; at first even when it is empty."""

    def __init__(self) -> None:
        self.known: list[Instance] | None = None

    def __call__(self, state: list[Instance]) -> list[list[Instance]]:
        now = sorted(state, key=lambda instance: (instance.node, instance.id))
        if now == self.known:
            return []
        self.known = now
        return [now]


class Cursor:
    """Where the next blocking read goes on; 0 asks for everything at once."""

    def __init__(self) -> None:
        self.index = 0

    def advance(self, index: int) -> None:
        self.index = index if index >= self.index else 0

    def reset(self) -> None:
        self.index = 0


class Watch(Generic[_S, _E]):
    """A running watch. `close()` ends it in under a second unless a callback holds it.

    Reports first what is there, then every change. On an error it goes on with a growing pause
    (also when forbidden: a policy may be mended) and tells `on_state`.
    """

    def __init__(
        self,
        connection: ConsulConnection,
        name: str,
        read: Callable[[Blocking], Ask[tuple[int, _S]]],
        changes_in: Callable[[_S], list[_E]],
        deliver: Callable[[_E, float], None],
        on_state: OnState | None = None,
    ) -> None:
        self._meters = connection.meters
        self._wait = connection.settings.wait
        self._client = connection.branch()
        self._read = read
        self._changes_in = changes_in
        self._deliver = deliver
        self._cursor = Cursor()
        supervisor = Supervisor(name, connection.tracing, on_state=on_state)
        self._worker = Worker(supervisor, self._step, self._client.http.abort)
        connection.adopt(self)
        self._worker.start()

    @property
    def state(self) -> State:
        return self._worker.state

    @property
    def error(self) -> AdapterError | None:
        """Why the state is LOST."""
        return self._worker.supervisor.error

    def close(self) -> None:
        self._worker.stop()

    def __enter__(self) -> Watch[_S, _E]:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _step(self) -> float:
        try:
            ask = self._read(Blocking(self._cursor.index, self._wait))
            index, state = ask.read(ask.send(self._client))
        except AdapterError as error:
            self._cursor.reset()
            if not self._worker.stopping:
                self._meters.watch_restart(error)
            raise
        arrived = time.monotonic()
        self._cursor.advance(index)
        events = self._changes_in(state)
        for event in events:
            if self._worker.stopping:
                break
            self._deliver(event, time.monotonic() - arrived)
        return AFTER_CHANGE if events else AFTER_NOTHING
