"""A lease that is kept alive in the background and says when it is gone."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from aetcd import rpc

from bridge.adapters import conventions as c
from bridge.adapters.errors import AdapterError, LeaseLost
from bridge.adapters.etcd.connection import EtcdConnection
from bridge.adapters.tracing import Tracing
from bridge.adapters.worker import Backoff, OnState, State, Supervisor, Worker

DEFAULT_TTL_SECONDS = 10
MIN_TTL_SECONDS = 2


class Term:
    """How long a lease surely lives, by the clock of time.monotonic()."""

    def __init__(self, ttl: int, asked: float) -> None:
        self.ttl = ttl
        self._pause = ttl / 3
        self._begins = asked + self._pause
        self._ends = asked + ttl

    def rest(self, now: float) -> float:
        """The seconds until the first renewal; 0 or less when it is due."""
        return self._begins - now

    def patience(self, now: float) -> float:
        """The seconds one renewal may take."""
        return min(self._pause, max(self._ends - now, 0.05))

    def renewed(self, asked: float, seconds: float) -> float:
        """Counts from the asking; the seconds until the next renewal."""
        self._ends = asked + seconds
        return self._pause

    def is_over(self, error: AdapterError) -> bool:
        return isinstance(error, LeaseLost) or time.monotonic() >= self._ends


def check_ttl(ttl: int) -> None:
    if ttl < MIN_TTL_SECONDS:
        raise ValueError(f"a lease of at least {MIN_TTL_SECONDS} s is wanted, not {ttl}")


def lease_supervisor(tracing: Tracing, ttl: int, on_state: OnState | None) -> Supervisor:
    return Supervisor(
        "etcd lease",
        tracing,
        on_state=on_state,
        give_up_on=(LeaseLost,),
        backoff=Backoff(0.05, ttl / 5),
        state=State.UP,  # it was granted
    )


class Lease:
    """Granted at once, renewed every third of its time, revoked by `close`; a context manager.

    `lost` is set when etcd says that the lease is gone, or when no renewal came through for the
    whole of its time: what hangs on it may then belong to somebody else. A lost lease stays lost.
    Every renewal counts as a heartbeat metric; only a change of state is a span.
    """

    def __init__(
        self,
        connection: EtcdConnection,
        ttl: int = DEFAULT_TTL_SECONDS,
        *,
        on_state: OnState | None = None,
    ) -> None:
        check_ttl(ttl)
        self._connection = connection
        self.lost = threading.Event()
        asked = time.monotonic()
        with connection.traced("lease grant", attributes={c.ETCD_LEASE_TTL: ttl}) as call:
            answer = call.invoke("Lease.LeaseGrant", rpc.LeaseGrantRequest(TTL=ttl))
        self.id = int(answer.ID)
        self.ttl = int(answer.TTL)
        self._term = Term(self.ttl, asked)
        supervisor = lease_supervisor(connection.tracing, self.ttl, on_state)
        self._renewals = Worker(supervisor, self._renew)
        self._renewals.start()

    @property
    def state(self) -> State:
        return self._renewals.state

    def _renew(self) -> float:
        asked = time.monotonic()
        if (rest := self._term.rest(asked)) > 0:
            return rest
        try:
            with self._connection.quiet():
                left = self._connection.keep_alive(self.id, self._term.patience(asked))
            if left <= 0:
                raise LeaseLost("lease keepalive")
        except AdapterError as error:
            self._connection.meters.heartbeat(error)
            if self._term.is_over(error):
                self.lost.set()
                raise LeaseLost("lease keepalive") from None
            raise
        self._connection.meters.heartbeat()
        return self._term.renewed(asked, left)

    def close(self) -> None:
        """Revokes the lease: etcd deletes its keys at once. Never raises; safe to call twice."""
        self._renewals.stop(wait=False)
        if not self.lost.is_set():
            self.lost.set()
            try:
                with self._connection.traced("lease revoke") as call:
                    call.invoke("Lease.LeaseRevoke", rpc.LeaseRevokeRequest(ID=self.id))
            except AdapterError:
                pass  # unreachable: it runs out by itself; the span tells
        self._renewals.stop()

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace_: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Lease(ttl={self.ttl}, {'lost' if self.lost.is_set() else 'alive'})"
