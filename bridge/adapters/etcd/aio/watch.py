"""`Watch` for asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

import grpc
import grpc.aio
from opentelemetry import context as context_api
from opentelemetry.context import Context

from bridge.adapters.errors import AdapterError, DeadlineExceeded
from bridge.adapters.etcd.aio.connection import RAISED, AsyncEtcdConnection
from bridge.adapters.etcd.errors import Compacted
from bridge.adapters.etcd.store import Pages
from bridge.adapters.etcd.watch import (
    Event,
    Follower,
    deletion_request,
    has_deletion,
    refused,
    watch_supervisor,
)
from bridge.adapters.worker import STOP_SECONDS, AsyncWorker, Delivery, OnState, State


class AsyncWatchStream:
    """`WatchStream`, to be awaited."""

    def __init__(self, connection: AsyncEtcdConnection, operation: str, answers: Any) -> None:
        self._connection = connection
        self._operation = operation
        self._answers = answers

    @classmethod
    async def open(
        cls,
        connection: AsyncEtcdConnection,
        operation: str,
        request: Any,
        timeout: float | None = None,
    ) -> AsyncWatchStream:
        answers = await connection.stream("Watch.Watch", request, timeout)
        return cls(connection, operation, answers)

    async def read(self) -> Any:
        """The next WatchResponse. Raises `AdapterError`: `Compacted`, `Forbidden`, ..."""
        answer = None
        try:
            answer = await self._answers.read()
        except RAISED as error:
            self.cancel()
            self._connection.pass_on_cancellation(error)
            failure: AdapterError | None = self._connection.stream_failed(self._operation, error)
        else:
            if answer is grpc.aio.EOF:
                failure = self._connection.stream_failed(self._operation, None)
            else:
                failure = refused(self._operation, answer)
        if failure is not None:
            self.cancel()
            raise failure
        return answer

    def cancel(self) -> None:
        self._answers.cancel()


class AsyncWatch:
    """`Watch` as asyncio tasks: `await AsyncWatch.open(...)`. Callbacks may be coroutine functions.

    The arguments are those of `Watch`, and so is what it promises.
    """

    def __init__(
        self,
        connection: AsyncEtcdConnection,
        follower: Follower,
        callback: Callable[[Event], object],
        queue_size: int,
        on_state: OnState | None,
    ) -> None:
        self._connection = connection
        self._follower = follower
        self._stream: AsyncWatchStream | None = None
        self._closed = False
        self._queue: asyncio.Queue[tuple[float, Event]] = asyncio.Queue(queue_size)
        delivery = Delivery("etcd watch event", callback, connection.tracing, connection.meters)
        supervisor = watch_supervisor(connection.tracing, on_state)
        self._reader = AsyncWorker(supervisor, self._step)
        self._deliverer = asyncio.create_task(self._deliver(delivery), name="etcd watch events")
        self._reader.start()

    @classmethod
    async def open(
        cls,
        connection: AsyncEtcdConnection,
        key: str,
        callback: Callable[[Event], object],
        *,
        prefix: bool = False,
        revision: int | None = None,
        known: Iterable[str] = (),
        queue_size: int = 1024,
        on_state: OnState | None = None,
    ) -> AsyncWatch:
        follower = Follower(key, prefix=prefix, revision=revision, known=known)
        if revision is None:
            follower.begin(await _read_state(connection, follower.pages(keys_only=True)))
        return cls(connection, follower, callback, queue_size, on_state)

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

    async def _step(self) -> float:
        with self._connection.quiet():
            try:
                if self._stream is None:
                    request = self._follower.watch_request()
                    self._stream = await AsyncWatchStream.open(self._connection, "watch", request)
                for event in self._follower.taken(await self._stream.read()):
                    await self._put(event)
            except Compacted as error:
                self._stream = None
                self._connection.meters.watch_restart(error)
                pages = self._follower.pages(keys_only=False)
                state = await _read_state(self._connection, pages)
                for event in self._follower.resynchronised(state):
                    await self._put(event)
            except AdapterError as error:
                self._stream = None
                self._connection.meters.watch_restart(error)
                raise
        return 0.0

    async def _put(self, event: Event) -> None:
        await self._queue.put((time.monotonic(), event))

    async def _deliver(self, delivery: Delivery[Event]) -> None:
        context_api.attach(Context())
        while not self._closed:
            arrived, event = await self._queue.get()
            await delivery.asynchronous(event, time.monotonic() - arrived)

    async def close(self) -> None:
        """Ends the watch; events that were not delivered are dropped. Safe to call twice."""
        self._closed = True
        await self._reader.stop()
        if self._stream is not None:
            self._stream.cancel()
        if self._deliverer is not asyncio.current_task():  # a callback that closes it goes on
            self._deliverer.cancel()
            await asyncio.wait([self._deliverer], timeout=STOP_SECONDS)

    async def __aenter__(self) -> AsyncWatch:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()


async def _read_state(connection: AsyncEtcdConnection, pages: Pages) -> Pages:
    while pages.more:
        request = pages.request()
        answer, _ = await connection.invoke("watch", "KV.Range", request, idempotent=True)
        pages.take(answer)
    return pages


async def wait_for_deletion(
    connection: AsyncEtcdConnection, operation: str, before: Any, seconds: float
) -> bool:
    """Whether the key of a range answer is deleted within `seconds`. Raises `AdapterError`."""
    request = deletion_request(before)
    stream = await AsyncWatchStream.open(connection, operation, request, seconds)
    try:
        while not has_deletion(await stream.read()):
            pass
        return True
    except DeadlineExceeded:
        return False
    except Compacted:
        return True  # the caller looks again
    finally:
        stream.cancel()
