"""A lease that is kept alive in the background and says when it is gone."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from aetcd import rpc

from bridge.adapters import conventions as c
from bridge.adapters.errors import AdapterError, LeaseLost
from bridge.adapters.etcd.connection import EtcdConnection
from bridge.adapters.worker import Backoff, OnState, State, Supervisor, Worker

DEFAULT_TTL_SECONDS = 10
MIN_TTL_SECONDS = 2


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
        if ttl < MIN_TTL_SECONDS:
            raise ValueError(f"a lease of at least {MIN_TTL_SECONDS} s is wanted, not {ttl}")
        self._connection = connection
        self.lost = threading.Event()
        asked = time.monotonic()
        with connection.traced("lease grant", attributes={c.ETCD_LEASE_TTL: ttl}) as call:
            answer = call.invoke("Lease.LeaseGrant", rpc.LeaseGrantRequest(TTL=ttl))
        self.id = int(answer.ID)
        self.ttl = int(answer.TTL)
        self._alive_until = asked + self.ttl
        supervisor = Supervisor(
            "etcd lease",
            connection.tracing,
            on_state=on_state,
            give_up_on=(LeaseLost,),
            backoff=Backoff(0.05, self.ttl / 5),
        )
        self._renewals = Worker(supervisor, self._renew)
        self._renewals.start()

    @property
    def state(self) -> State:
        return self._renewals.state

    def _renew(self) -> float:
        asked = time.monotonic()
        timeout = min(self.ttl / 3, max(self._alive_until - asked, 0.05))
        try:
            with self._connection.quiet():
                left = self._connection.keep_alive(self.id, timeout)
            if left <= 0:
                raise LeaseLost("lease keepalive")
        except AdapterError as error:
            self._connection.meters.heartbeat(error)
            if isinstance(error, LeaseLost) or time.monotonic() >= self._alive_until:
                self.lost.set()
                raise LeaseLost("lease keepalive") from None
            raise
        self._connection.meters.heartbeat()
        self._alive_until = asked + left
        return self.ttl / 3

    def close(self) -> None:
        """Revokes the lease: etcd deletes its keys at once. Never raises; safe to call twice."""
        self._renewals.stop()
        if self.lost.is_set():
            return
        self.lost.set()
        try:
            with self._connection.traced("lease revoke") as call:
                call.invoke("Lease.LeaseRevoke", rpc.LeaseRevokeRequest(ID=self.id))
        except AdapterError:
            return  # unreachable: it runs out by itself; the span tells

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
