"""Watching a key or a prefix: every change once and in order, over crashes and compactions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import grpc
from aetcd import rpc

from bridge.adapters.errors import AdapterError, DeadlineExceeded, Forbidden
from bridge.adapters.etcd.connection import EtcdConnection
from bridge.adapters.etcd.errors import Compacted, from_watch_cancel
from bridge.adapters.etcd.store import Entry, entry_of, range_end, range_start
from bridge.adapters.worker import Delivery, Inbox, OnState, State, Supervisor, Worker

PAGE_KEYS = 1000


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


class WatchStream:
    """One watch on one stream, until it breaks. `read` blocks; `cancel` ends it from any thread."""

    def __init__(
        self,
        connection: EtcdConnection,
        operation: str,
        key: bytes,
        end: bytes,
        *,
        start_revision: int,
        timeout: float | None = None,
    ) -> None:
        self._connection = connection
        self._operation = operation
        create = rpc.WatchCreateRequest(
            key=key, range_end=end, start_revision=start_revision, progress_notify=True
        )
        requests: Iterator[Any] = iter([rpc.WatchRequest(create_request=create)])
        self._answers = connection.stream("Watch.Watch", requests, timeout)

    def read(self) -> Any:
        """The next WatchResponse. Raises `AdapterError`: `Compacted`, `Forbidden`, ..."""
        failure: AdapterError | None = None
        try:
            answer = next(self._answers)
        except (grpc.RpcError, ValueError, StopIteration) as error:
            failure = self._connection.stream_failed(self._operation, error)
        if failure is None and answer.compact_revision:
            failure = Compacted(self._operation, code="OUT_OF_RANGE")
        elif failure is None and answer.canceled:
            failure = from_watch_cancel(self._operation, answer.cancel_reason)
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
        self._start = range_start(key) if prefix else key.encode()
        self._end = range_end(key) if prefix else b""
        self._known = {key.encode() for key in known}
        self._revision = revision
        self._stream: WatchStream | None = None
        self._inbox: Inbox[Event] = Inbox(queue_size)
        delivery = Delivery("etcd watch event", callback, connection.tracing, connection.meters)
        supervisor = Supervisor(
            "etcd watch", connection.tracing, on_state=on_state, give_up_on=(Forbidden,)
        )
        if revision is None:
            self._revision = self._read_state(self._known.add)
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
        return self._revision or 0

    def _step(self) -> float:
        with self._connection.quiet():
            try:
                if self._stream is None:
                    self._stream = WatchStream(
                        self._connection,
                        "watch",
                        self._start,
                        self._end,
                        start_revision=self.revision + 1,
                    )
                self._take(self._stream.read())
            except Compacted:
                self._stream = None
                self._connection.meters.watch_restart(Compacted("watch", code="OUT_OF_RANGE"))
                self._resynchronise()
            except AdapterError as error:
                self._stream = None
                self._connection.meters.watch_restart(error)
                raise
        return 0.0

    def _take(self, answer: Any) -> None:
        for event in answer.events:
            kv = event.kv
            if event.type == event.DELETE:
                self._known.discard(kv.key)
                self._put(Event(_text(kv.key), None, kv.mod_revision))
            else:
                self._known.add(kv.key)
                self._put(Event(_text(kv.key), entry_of(kv), kv.mod_revision))
        # Also without events: a progress notification keeps the point of resumption young.
        if answer.header.revision > self.revision and not answer.created:
            self._revision = answer.header.revision

    def _resynchronise(self) -> None:
        """After a compaction: the keys that changed since, and those that are gone."""
        last, gone = self.revision, set(self._known)
        found: list[Any] = []
        revision = self._read_state(lambda key: gone.discard(key), found.append)
        for key in sorted(gone):
            self._known.discard(key)
            self._put(Event(_text(key), None, revision, resync=True))
        for kv in found:
            self._known.add(kv.key)
            if kv.mod_revision > last:
                self._put(Event(_text(kv.key), entry_of(kv), kv.mod_revision, resync=True))
        self._revision = revision

    def _read_state(
        self, key_seen: Callable[[bytes], object], keep: Callable[[Any], object] | None = None
    ) -> int:
        """Reads what is watched in pages of one revision; the revision."""
        start, revision = self._start, 0
        while True:
            request = rpc.RangeRequest(
                key=start,
                range_end=self._end,
                limit=PAGE_KEYS,
                revision=revision,
                keys_only=keep is None,
            )
            answer, _ = self._connection.invoke("watch", "KV.Range", request, idempotent=True)
            revision = revision or int(answer.header.revision)
            for kv in answer.kvs:
                key_seen(kv.key)
                if keep is not None:
                    keep(kv)
            if not answer.more:
                return revision
            start = answer.kvs[-1].key + b"\0"

    def _put(self, event: Event) -> None:
        self._inbox.put(event)

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
    connection: EtcdConnection, operation: str, key: bytes, revision: int, seconds: float
) -> bool:
    """Whether the key is deleted after `revision` within `seconds`. Raises `AdapterError`."""
    stream = WatchStream(
        connection, operation, key, b"", start_revision=revision + 1, timeout=seconds
    )
    try:
        while True:
            if any(event.type == event.DELETE for event in stream.read().events):
                return True
    except DeadlineExceeded:
        return False
    except Compacted:
        return True  # the caller looks again
    finally:
        stream.cancel()


def _text(key: bytes) -> str:
    return key.decode("utf-8", "surrogateescape")
