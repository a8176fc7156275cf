"""A distributed lock with a fencing token."""

from __future__ import annotations

import threading
from types import TracebackType

from bridge.adapters.errors import AdapterError
from bridge.adapters.etcd.connection import EtcdConnection
from bridge.adapters.etcd.errors import LockBusy, NotHeld
from bridge.adapters.etcd.lease import DEFAULT_TTL_SECONDS
from bridge.adapters.etcd.turn import Turn


class Lock:
    """Held by at most one; first come, first served. Use it in `with`, or acquire and release.

    A holder that dies or is cut off keeps others out for at most `ttl` seconds. It must stop
    what it does under the lock when `lost` is set; since it may not notice in time, hand
    `fencing_token` to the guarded resource, which refuses a token lower than one it has seen.
    Not reentrant: a second acquire by its holder raises RuntimeError.
    """

    def __init__(
        self, connection: EtcdConnection, name: str, *, ttl: int = DEFAULT_TTL_SECONDS
    ) -> None:
        self._turn = Turn(connection, "lock", name, ttl)
        self._in_use = threading.Lock()

    def acquire(self, timeout: float | None = None) -> int:
        """Waits for the lock, at most `timeout` seconds; the fencing token.

        Raises `LockBusy` at the timeout, and then leaves nothing behind in etcd.
        """
        if not self._in_use.acquire(blocking=False):
            raise RuntimeError("this Lock is held or waited for already; it is not reentrant")
        try:
            return self._turn.take(b"", timeout)
        except BaseException:
            self._in_use.release()
            raise

    def try_acquire(self) -> int | None:
        """The fencing token, or None when somebody else holds the lock; does not wait."""
        try:
            return self.acquire(timeout=0.0)
        except LockBusy:
            return None

    @property
    def held(self) -> bool:
        return self._turn.held

    @property
    def lost(self) -> threading.Event:
        """Set when the lock is no longer ours. Raises `NotHeld` before it is acquired."""
        return self._turn.lost

    @property
    def fencing_token(self) -> int:
        """Grows with every holder. Raises `NotHeld`."""
        return self._turn.token

    def release(self) -> None:
        """Gives the lock to the next. Raises `NotHeld` when it was lost before or never held."""
        held = self._turn.give_up()
        if self._in_use.locked():
            self._in_use.release()
        if not held:
            raise NotHeld("unlock")

    def __enter__(self) -> Lock:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace_: TracebackType | None,
    ) -> None:
        try:
            self.release()
        except AdapterError:
            if error is None:
                raise
