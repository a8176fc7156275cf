"""Leader election: one of many candidates leads, the others wait or watch."""

from __future__ import annotations

import threading
from types import TracebackType

from bridge.adapters import conventions as c
from bridge.adapters.etcd.connection import EtcdConnection
from bridge.adapters.etcd.lease import DEFAULT_TTL_SECONDS
from bridge.adapters.etcd.store import Entry, entry_of, to_bytes
from bridge.adapters.etcd.turn import Turn, head_request


class Election:
    """A candidate in the election `name`; a context manager that resigns at its end."""

    def __init__(
        self, connection: EtcdConnection, name: str, *, ttl: int = DEFAULT_TTL_SECONDS
    ) -> None:
        self._connection = connection
        self._name = name
        self._turn = Turn(connection, "campaign", name, ttl)

    def campaign(self, value: bytes | str, timeout: float | None = None) -> int:
        """Waits to become the leader, who is known by `value`; the term.

        Raises `LockBusy` when somebody else still leads after `timeout` seconds.
        """
        if self._turn.held:
            raise RuntimeError("this Election leads already; resign first")
        return self._turn.take(to_bytes(value), timeout)

    def leader(self) -> Entry | None:
        """Who leads now: the entry whose value was given to `campaign`; None without one."""
        with self._connection.traced("leader", self._name) as call:
            answer = call.invoke("KV.Range", head_request(self._name), idempotent=True)
            call.set(c.ETCD_FOUND, bool(answer.kvs))
        return entry_of(answer.kvs[0]) if answer.kvs else None

    @property
    def leads(self) -> bool:
        return self._turn.held

    @property
    def lost(self) -> threading.Event:
        """Set when the leadership is gone. Raises `NotHeld` before there was one."""
        return self._turn.lost

    @property
    def term(self) -> int:
        """Grows with every leader: a fencing token. Raises `NotHeld`."""
        return self._turn.token

    def resign(self) -> None:
        """Lets the next candidate lead. Nothing happens without leadership."""
        self._turn.give_up()

    def __enter__(self) -> Election:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace_: TracebackType | None,
    ) -> None:
        self.resign()
