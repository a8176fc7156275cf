"""Background work of the adapters: a thread or task that can be stopped, watched and bounded.

A worker repeats one step (a heartbeat, a blocking read). A step that fails is tried again after
a jittered, growing pause; every change of state is one span, linked to the span that started the
worker, and one call of the state callback. Successful steps make no spans.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeAlias, TypeVar

from opentelemetry import context as context_api
from opentelemetry.context import Context

from bridge.adapters import conventions as c
from bridge.adapters.errors import AdapterError, Unexpected
from bridge.adapters.metrics import Meters
from bridge.adapters.redaction import place_of
from bridge.adapters.tracing import Attributes, Call, Tracing, origin

STOP_SECONDS = 1.0

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class State(str, Enum):
    """Where a worker is."""

    STARTING = "starting"
    UP = "up"
    LOST = "lost"  # the last step failed; it is tried again
    FAILED = "failed"  # an error that repeating does not mend: the worker has ended
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Change:
    """What a state callback is told. LOST to UP means restored."""

    worker: str
    previous: State
    state: State
    error: AdapterError | None = None


OnState: TypeAlias = Callable[[Change], None]


class Backoff:
    """Pauses that double from `first` to `most` seconds, each jittered down to half."""

    def __init__(self, first: float = 0.1, most: float = 10.0) -> None:
        self.first = first
        self.most = most
        self._next = first

    def pause(self) -> float:
        pause, self._next = self._next, min(self._next * 2, self.most)
        return pause * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        self._next = self.first


class Supervisor:
    """What a worker's steps mean for its state; shared by `Worker` and `AsyncWorker`."""

    def __init__(
        self,
        name: str,
        tracing: Tracing,
        *,
        on_state: OnState | None = None,
        give_up_on: tuple[type[AdapterError], ...] = (),
        backoff: Backoff | None = None,
        state: State = State.STARTING,
    ) -> None:
        self.name = name
        self.state = state
        self.error: AdapterError | None = None
        self._tracing = tracing
        self._origin = origin()
        self._on_state = on_state
        self._give_up_on = give_up_on
        self._backoff = backoff or Backoff()

    def succeeded(self) -> None:
        self._backoff.reset()
        self._enter(State.UP, None)

    def failed(self, error: Exception) -> float | None:
        """The seconds to wait before the next try; None when there shall be none."""
        if not isinstance(error, AdapterError):
            _log.error("%s: %s", self.name, place_of(error))
            error = Unexpected(self.name, code=type(error).__qualname__)
        if isinstance(error, self._give_up_on):
            self._enter(State.FAILED, error)
            return None
        self._enter(State.LOST, error)
        return self._backoff.pause()

    def stopped(self) -> None:
        if self.state is not State.FAILED:
            self._enter(State.STOPPED, None)

    def _enter(self, state: State, error: AdapterError | None) -> None:
        self.error = error
        if state is self.state:
            return
        change = Change(self.name, self.state, state, error)
        self.state = state
        attributes = {
            c.ADAPTER_WORKER: self.name,
            c.ADAPTER_STATE: state.value,
            c.ADAPTER_STATE_PREVIOUS: change.previous.value,
        }
        with self._tracing.background(f"{self.name} {state.value}", self._origin, attributes) as it:
            if error is not None:
                it.fail(error)
            if self._on_state is not None:
                guarded(self._on_state, change)


def guarded(callback: Callable[[_T], object], argument: _T) -> None:
    """Calls an application's callback; of its exception only type and place are logged."""
    try:
        callback(argument)
    except Exception as error:  # noqa: BLE001
        _log.error("callback %s: %s", getattr(callback, "__qualname__", "?"), place_of(error))


class Worker:
    """Repeats `step` on a daemon thread until `stop()`.

    `step` does one unit of work and returns the seconds to wait before the next (0: at once).
    `interrupt` must make a step that blocks end at once; it runs on the stopping thread.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        step: Callable[[], float],
        interrupt: Callable[[], None] = lambda: None,
    ) -> None:
        self.supervisor = supervisor
        self._step = step
        self._interrupt = interrupt
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=supervisor.name, daemon=True)

    @property
    def state(self) -> State:
        return self.supervisor.state

    def start(self) -> None:
        self._thread.start()

    def stop(self, *, wait: bool = True) -> bool:
        """Ends the worker; False when a callback keeps it longer than `STOP_SECONDS`.

        Without `wait` it only begins to end; call again.
        """
        self._stopping.set()
        self._interrupt()
        if not wait or self._thread is threading.current_thread() or not self._thread.ident:
            return True
        self._thread.join(STOP_SECONDS)
        return not self._thread.is_alive()

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def _run(self) -> None:
        context_api.attach(Context())  # some interpreters hand the starter's context to a thread
        while not self._stopping.is_set():
            try:
                pause: float | None = self._step()
                if not self._stopping.is_set():
                    self.supervisor.succeeded()
            except Exception as error:  # noqa: BLE001
                if self._stopping.is_set():
                    break
                pause = self.supervisor.failed(error)
            if pause is None:
                break
            self._stopping.wait(pause)
        self.supervisor.stopped()


class AsyncWorker:
    """`Worker` as an asyncio task; `stop()` cancels the step."""

    def __init__(self, supervisor: Supervisor, step: Callable[[], Awaitable[float]]) -> None:
        self.supervisor = supervisor
        self._step = step
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def state(self) -> State:
        return self.supervisor.state

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=self.supervisor.name)

    async def stop(self) -> None:
        self._stopping = True
        task, self._task = self._task, None
        if task is None or task is asyncio.current_task():
            return
        task.cancel()
        await asyncio.wait([task], timeout=STOP_SECONDS)

    async def _run(self) -> None:
        context_api.attach(Context())
        try:
            while not self._stopping:
                try:
                    pause: float | None = await self._step()
                    self.supervisor.succeeded()
                except Exception as error:  # noqa: BLE001
                    pause = self.supervisor.failed(error)
                if pause is None:
                    break
                await asyncio.sleep(pause)
        finally:
            self.supervisor.stopped()


class Inbox(Generic[_T]):
    """A bounded queue between the thread that reads a stream and the one that handles it.

    Nothing is dropped: `put` waits for room, so a slow consumer slows the reader down.
    """

    def __init__(self, size: int = 1024) -> None:
        self._size = size
        self._items: deque[tuple[float, _T]] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, item: _T) -> bool:
        """Waits for room; False once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._size)
            if self._closed:
                return False
            self._items.append((time.monotonic(), item))
            self._changed.notify_all()
            return True

    def take(self) -> tuple[float, _T] | None:
        """Waits for the next item: the seconds it lay here, and itself. None once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._items)
            if self._closed:
                return None
            arrived, item = self._items.popleft()
            self._changed.notify_all()
            return time.monotonic() - arrived, item

    def close(self) -> None:
        """Wakes everyone; what was not taken is dropped."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[_T]:
        while (taken := self.take()) is not None:
            yield taken[1]


class Delivery(Generic[_T]):
    """Hands events to an application's callback, each in a root span, and notes their lag.

    `describe` gives the span's attributes. A callback that fails marks the span and is logged.
    """

    def __init__(
        self,
        name: str,
        callback: Callable[[_T], object],
        tracing: Tracing,
        meters: Meters,
        describe: Callable[[_T], Attributes] = lambda event: {},
    ) -> None:
        self._name = name
        self._callback = callback
        self._tracing = tracing
        self._meters = meters
        self._describe = describe
        self._origin = origin()

    def __call__(self, event: _T, lag: float = 0.0) -> None:
        with self._span(event, lag) as span:
            try:
                self._callback(event)
            except Exception as error:  # noqa: BLE001
                self._failed(span, error)

    async def asynchronous(self, event: _T, lag: float = 0.0) -> None:
        """The same for a callback that may be a coroutine function."""
        with self._span(event, lag) as span:
            try:
                result = self._callback(event)
                if inspect.isawaitable(result):
                    await result
            except Exception as error:  # noqa: BLE001
                self._failed(span, error)

    def _span(self, event: _T, lag: float) -> Call:
        self._meters.watch_lag(lag)
        return self._tracing.background(self._name, self._origin, self._describe(event))

    def _failed(self, span: Call, error: Exception) -> None:
        span.fail(error)
        _log.error("%s: callback: %s", self._name, place_of(error))
