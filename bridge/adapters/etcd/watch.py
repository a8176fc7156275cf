"""Watching a key or a prefix: every change once and in order, over crashes and compactions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from aetcd import rpc

from bridge.adapters.errors import AdapterError, DeadlineExceeded, Forbidden
from bridge.adapters.etcd.connection import RAISED, EtcdConnection
from bridge.adapters.etcd.errors import Compacted, from_watch_cancel
from bridge.adapters.etcd.store import Entry, Pages, entry_of, range_end, range_start
from bridge.adapters.tracing import Tracing
from bridge.adapters.worker import Delivery, Inbox, OnState, State, Supervisor, Worker


@dataclass(frozen=True, slots=True)
class Event:
    """One change. `entry` is None for a deletion.

    `resync` marks an event that was made up from the state after a compaction: what happened in
    between is lost, the state is right.
    """

    key: str
    entry: Entry | None
    revision: int
    resync: bool = False

    @property
    def deleted(self) -> bool:
        return self.entry is None


class Follower:
    """What a watch knows: the revision it has come to, and the keys that exist."""

    def __init__(
        self, key: str, *, prefix: bool, revision: int | None, known: Iterable[str]
    ) -> None:
        self._start = range_start(key) if prefix else key.encode()
        self._end = range_end(key) if prefix else b""
        self._known = {key.encode() for key in known}
        self.revision = revision or 0

    def pages(self, *, keys_only: bool) -> Pages:
        return Pages(self._start, self._end, keys_only=keys_only)

    def watch_request(self) -> Any:
        return watch_request(self._start, self._end, self.revision + 1)

    def begin(self, state: Pages) -> None:
        self._known.update(kv.key for kv in state.found)
        self.revision = state.revision

    def taken(self, answer: Any) -> Iterator[Event]:
        """The events of an answer; the revision moves on when all were taken."""
        for event in answer.events:
            kv = event.kv
            if event.type == event.DELETE:
                self._known.discard(kv.key)
                yield Event(_text(kv.key), None, kv.mod_revision)
            else:
                self._known.add(kv.key)
                yield Event(_text(kv.key), entry_of(kv), kv.mod_revision)
        # Also without events: a progress notification keeps the point of resumption young.
        if answer.header.revision > self.revision and not answer.created:
            self.revision = answer.header.revision

    def resynchronised(self, state: Pages) -> Iterator[Event]:
        """After a compaction: the keys that are gone, and those that changed since."""
        for key in sorted(self._known - {kv.key for kv in state.found}):
            yield Event(_text(key), None, state.revision, resync=True)
        for kv in state.found:
            if kv.mod_revision > self.revision:
                yield Event(_text(kv.key), entry_of(kv), kv.mod_revision, resync=True)
        self._known = {kv.key for kv in state.found}
        self.revision = state.revision


def watch_request(key: bytes, end: bytes, start_revision: int) -> Any:
    create = rpc.WatchCreateRequest(
        key=key, range_end=end, start_revision=start_revision, progress_notify=True
    )
    return rpc.WatchRequest(create_request=create)


def deletion_request(before: Any) -> Any:
    """Watches the one key of a range answer from right after it."""
    return watch_request(before.kvs[0].key, b"", before.header.revision + 1)


def has_deletion(answer: Any) -> bool:
    return any(event.type == event.DELETE for event in answer.events)


def refused(operation: str, answer: Any) -> AdapterError | None:
    """The error in an answer that ends a watch."""
    if answer.compact_revision:
        return Compacted(operation, code="OUT_OF_RANGE")
    if answer.canceled:
        return from_watch_cancel(operation, answer.cancel_reason)
    return None


def watch_supervisor(tracing: Tracing, on_state: OnState | None) -> Supervisor:
    return Supervisor("etcd watch", tracing, on_state=on_state, give_up_on=(Forbidden,))


class WatchStream:
    """One watch on one stream, until it breaks. `read` blocks; `cancel` ends it from any thread."""

    def __init__(
        self,
        connection: EtcdConnection,
        operation: str,
        request: Any,
        timeout: float | None = None,
    ) -> None:
        self._connection = connection
        self._operation = operation
        self._answers = connection.stream("Watch.Watch", iter([request]), timeout)

    def read(self) -> Any:
        """The next WatchResponse. Raises `AdapterError`: `Compacted`, `Forbidden`, ..."""
        answer = None
        try:
            answer = next(self._answers)
        except StopIteration:
            failure: AdapterError | None = self._connection.stream_failed(self._operation, None)
        except RAISED as error:
            failure = self._connection.stream_failed(self._operation, error)
        else:
            failure = refused(self._operation, answer)
        if failure is not None:
            self.cancel()
            raise failure
        return answer

    def cancel(self) -> None:
        self._answers.cancel()


class Watch:
    """Calls `callback` for every change of a key, or of the keys under a prefix, in order.

    It begins at the state of now, or after `revision` when one is given; `known` are the keys that
    existed then, so that their deletion is noticed whatever happens. A broken stream is
    resumed at the next revision, on the next endpoint, and loses nothing; a compaction in
    between is answered by reading the state anew. It ends only by `close`, or with
    `error` set when it is forbidden. At most `queue_size` events wait for a slow callback, then
    etcd keeps them. A callback's exception is logged and the watch goes on.
    """

    def __init__(
        self,
        connection: EtcdConnection,
        key: str,
        callback: Callable[[Event], object],
        *,
        prefix: bool = False,
        revision: int | None = None,
        known: Iterable[str] = (),
        queue_size: int = 1024,
        on_state: OnState | None = None,
    ) -> None:
        self._connection = connection
        self._follower = Follower(key, prefix=prefix, revision=revision, known=known)
        self._stream: WatchStream | None = None
        self._inbox: Inbox[Event] = Inbox(queue_size)
        delivery = Delivery("etcd watch event", callback, connection.tracing, connection.meters)
        supervisor = watch_supervisor(connection.tracing, on_state)
        if revision is None:
            self._follower.begin(self._read_state(keys_only=True))
        self._reader = Worker(supervisor, self._step, self._interrupt)
        self._deliverer = threading.Thread(
            target=self._deliver, args=(delivery,), name="etcd watch events", daemon=True
        )
        self._deliverer.start()
        self._reader.start()

    @property
    def state(self) -> State:
        return self._reader.state

    @property
    def error(self) -> AdapterError | None:
        """Why it ended or waits for the server."""
        return self._reader.supervisor.error

    @property
    def revision(self) -> int:
        """The last revision whose changes were taken in: what a later watch can resume from."""
        return self._follower.revision

    def _step(self) -> float:
        with self._connection.quiet():
            try:
                if self._stream is None:
                    self._stream = WatchStream(
                        self._connection, "watch", self._follower.watch_request()
                    )
                for event in self._follower.taken(self._stream.read()):
                    self._inbox.put(event)
            except Compacted:
                self._stream = None
                self._connection.meters.watch_restart(Compacted("watch", code="OUT_OF_RANGE"))
                self._resynchronise()
            except AdapterError as error:
                self._stream = None
                self._connection.meters.watch_restart(error)
                raise
        return 0.0

    def _resynchronise(self) -> None:
        for event in self._follower.resynchronised(self._read_state(keys_only=False)):
            self._inbox.put(event)

    def _read_state(self, *, keys_only: bool) -> Pages:
        pages = self._follower.pages(keys_only=keys_only)
        while pages.more:
            request = pages.request()
            answer, _ = self._connection.invoke("watch", "KV.Range", request, idempotent=True)
            pages.take(answer)
        return pages

    def _deliver(self, delivery: Delivery[Event]) -> None:
        while (taken := self._inbox.take()) is not None:
            lag, event = taken
            delivery(event, lag)

    def _interrupt(self) -> None:
        self._inbox.close()
        stream = self._stream
        if stream is not None:
            stream.cancel()

    def close(self) -> None:
        """Ends the watch; events that were not delivered are dropped. Safe to call twice."""
        self._reader.stop()
        if self._deliverer is not threading.current_thread():
            self._deliverer.join(1.0)

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace_: TracebackType | None,
    ) -> None:
        self.close()


def wait_for_deletion(
    connection: EtcdConnection, operation: str, before: Any, seconds: float
) -> bool:
    """Whether the key of a range answer is deleted within `seconds`. Raises `AdapterError`."""
    stream = WatchStream(connection, operation, deletion_request(before), seconds)
    try:
        while not has_deletion(stream.read()):
            pass
        return True
    except DeadlineExceeded:
        return False
    except Compacted:
        return True  # the caller looks again
    finally:
        stream.cancel()


def _text(key: bytes) -> str:
    return key.decode("utf-8", "surrogateescape")
