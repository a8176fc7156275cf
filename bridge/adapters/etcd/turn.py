"""Whose turn it is: the queue of keys under a prefix that locks and elections are made of.

The recipe of etcd's own Go client (client/v3/concurrency): every contender puts a key named
after its lease; the one with the lowest creation revision has its turn; the others wait for the
deletion of the key right before theirs, so that a release wakes one and not all.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

from aetcd import rpc

from bridge.adapters import conventions as c
from bridge.adapters.errors import AdapterError
from bridge.adapters.etcd.connection import EtcdCall, EtcdConnection
from bridge.adapters.etcd.errors import LockBusy, NotHeld
from bridge.adapters.etcd.lease import Lease
from bridge.adapters.etcd.store import range_end
from bridge.adapters.etcd.watch import wait_for_deletion

# While waiting, look at the lease and the queue this often even when no event comes.
LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Place:
    """A key in the queue. Its creation revision only grows: a fencing token."""

    key: bytes
    create_revision: int
    is_first: bool


class Turn:
    """What a lock's holder and an election's leader have: the head of the queue, and a lease.

    `take` waits for it and gives the fencing token; `give_up` lets the next one in.
    """

    def __init__(self, connection: EtcdConnection, operation: str, name: str, ttl: int) -> None:
        self._connection = connection
        self._operation = operation
        self._name = name
        self._ttl = ttl
        self._lease: Lease | None = None
        self._token = 0

    def take(self, value: bytes, timeout: float | None) -> int:
        """Raises `LockBusy` after `timeout` seconds, and then leaves nothing behind in etcd."""
        started = time.monotonic()
        deadline = None if timeout is None else started + timeout
        acquired = False
        lease = Lease(self._connection, self._ttl)
        try:
            with self._connection.traced(self._operation, self._name) as call:
                try:
                    place = _enter(call, self._name, lease, value)
                    _wait(self._connection, call, self._name, place, lease, deadline)
                    acquired = True
                finally:
                    call.set(c.LOCK_ACQUIRED, acquired)
        finally:
            self._connection.meters.lock_wait(time.monotonic() - started, acquired=acquired)
            if not acquired:
                lease.close()  # and with it our place in the queue
        self._lease, self._token = lease, place.create_revision
        return self._token

    def give_up(self) -> bool:
        """Revokes the lease; whether it was ours until now."""
        lease, self._lease = self._lease, None
        if lease is None:
            return False
        held = not lease.lost.is_set()
        lease.close()
        return held

    @property
    def held(self) -> bool:
        return self._lease is not None and not self._lease.lost.is_set()

    @property
    def token(self) -> int:
        """Grows with every holder. Raises `NotHeld`."""
        if not self.held:
            raise NotHeld(self._operation)
        return self._token

    @property
    def lost(self) -> threading.Event:
        """Set when it is ours no more. Raises `NotHeld` before it ever was."""
        if self._lease is None:
            raise NotHeld(self._operation)
        return self._lease.lost


def _enter(call: EtcdCall, prefix: str, lease: Lease, value: bytes) -> Place:
    # Repeating it changes nothing, so it may be tried on the next endpoint.
    key, request = enter_request(prefix, lease.id, value)
    return place_in(key, call.invoke("KV.Txn", request, idempotent=True))


def enter_request(prefix: str, lease: int, value: bytes) -> tuple[bytes, Any]:
    """Takes a place in the queue, or finds that of this lease; and sees who is first."""
    key = f"{prefix}/{lease:x}".encode()
    first = rpc.RequestOp(request_range=head_request(prefix))
    return key, rpc.TxnRequest(
        compare=[
            rpc.Compare(
                key=key, target=rpc.Compare.CREATE, result=rpc.Compare.EQUAL, create_revision=0
            )
        ],
        success=[
            rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=value, lease=lease)),
            first,
        ],
        failure=[rpc.RequestOp(request_range=rpc.RangeRequest(key=key)), first],
    )


def place_in(key: bytes, answer: Any) -> Place:
    ours, first = answer.responses
    revision = answer.header.revision
    if not answer.succeeded:
        revision = ours.response_range.kvs[0].create_revision
    return Place(key, revision, first.response_range.kvs[0].create_revision == revision)


def before_request(prefix: str, place: Place) -> Any:
    """The key right before ours; none: it is our turn."""
    return rpc.RangeRequest(
        key=f"{prefix}/".encode(),
        range_end=range_end(f"{prefix}/"),
        max_create_revision=place.create_revision - 1,
        sort_order=rpc.RangeRequest.DESCEND,
        sort_target=rpc.RangeRequest.CREATE,
        limit=1,
        keys_only=True,
    )


def _wait(
    connection: EtcdConnection,
    call: EtcdCall,
    prefix: str,
    place: Place,
    lease: Lease,
    deadline: float | None,
) -> None:
    """Returns when it is our turn. Raises `LockBusy` at the deadline, `NotHeld` without a lease.

    An unreachable server is waited for as long as the lease may still live.
    """
    while not place.is_first:
        check(call.operation, lost=lease.lost.is_set(), deadline=deadline)
        try:
            before = call.invoke("KV.Range", before_request(prefix, place), idempotent=True)
            if not before.kvs:
                return
            seconds = min(LOOK_SECONDS, max(left(deadline), 0.001))
            wait_for_deletion(connection, call.operation, before, seconds)
        except AdapterError as error:
            if not error.retryable:
                raise
            lease.lost.wait(min(LOOK_SECONDS, left(deadline)))


def head_request(prefix: str) -> Any:
    """Whose turn it is."""
    return rpc.RangeRequest(
        key=f"{prefix}/".encode(),
        range_end=range_end(f"{prefix}/"),
        sort_order=rpc.RangeRequest.ASCEND,
        sort_target=rpc.RangeRequest.CREATE,
        limit=1,
    )


def left(deadline: float | None) -> float:
    return LOOK_SECONDS if deadline is None else deadline - time.monotonic()


def check(operation: str, *, lost: bool, deadline: float | None) -> None:
    """Raises when waiting has no sense any more."""
    if lost:
        raise NotHeld(operation)
    if deadline is not None and time.monotonic() >= deadline:
        raise LockBusy(operation)
