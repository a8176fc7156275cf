"""A bounded queue of finished spans and the thread that exports them."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, set_value
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

logger = logging.getLogger("jaeger_tracing")

MAX_BATCH = 512


class SpanQueue(SpanProcessor):
    """A span processor that batches like BatchSpanProcessor, with jaeger-client's habits.

    The first span waits for `flush_interval` seconds, or until `wake_at` are there. At
    `capacity` the newest is dropped (as it was; what waits is older and more likely to complete
    a trace). Thread and exporter are made at the first span, and anew after a fork, whose child
    leaves the parent's spans to the parent. `observe` is told ("ok", "err" or "dropped", count).
    """

    _closed: bool
    _exporter: SpanExporter | None

    def __init__(
        self,
        make_exporter: Callable[[], SpanExporter],
        *,
        capacity: int = 2048,
        wake_at: int = MAX_BATCH,
        flush_interval: float = 1.0,
        observe: Callable[[str, int], None] = lambda result, count: None,
    ) -> None:
        self._make_exporter = make_exporter
        self._capacity = max(capacity, 1)
        self._wake_at = max(min(wake_at, self._capacity), 1)
        self._flush_interval = flush_interval
        self._observe = observe
        self.dropped = 0
        self._reset()
        if hasattr(os, "register_at_fork"):
            reset = weakref.WeakMethod(self._reset)
            os.register_at_fork(after_in_child=lambda: (reset() or _nothing)())

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        pass

    def on_end(self, span: Any) -> None:
        queue = self._queue
        if len(queue) >= self._capacity or self._closed:
            self._drop()
            return
        queue.append(span)
        if not self._some.is_set():
            self._some.set()
            if self._thread is None:
                self._start()
        if len(queue) >= self._wake_at and not self._wake.is_set():
            self._wake.set()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Exports what waits now; False when that takes longer than the timeout."""
        if self._thread is None:
            return True
        deadline = time.monotonic() + timeout_millis / 1000
        turn = self._exported + 1 + self._exporting
        self._hurry()
        with self._progress:
            while self._exported < turn and (self._queue or self._exporting):
                left = deadline - time.monotonic()
                if left <= 0 or not self._thread.is_alive():
                    return False
                self._progress.wait(min(left, 0.1))
        return True

    def shutdown(self, timeout_millis: int = 5000) -> None:
        """Exports what waits, for at most the timeout; later spans count as dropped."""
        self._closed = True
        self._hurry()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_millis / 1000)
        self._out_of_time = True
        exporter, self._exporter = self._exporter, None
        if exporter is not None:
            exporter.shutdown()
        if self._queue:
            logger.warning("%d spans were not exported before the end", len(self._queue))

    def __len__(self) -> int:
        return len(self._queue)

    def _reset(self) -> None:
        self._queue: deque[Any] = deque()
        self._some = threading.Event()  # a span waits
        self._wake = threading.Event()  # and is not to wait any longer
        self._lock = threading.Lock()
        self._progress = threading.Condition()
        self._thread: threading.Thread | None = None
        self._exporter = None
        self._out_of_time = False
        self._closed = False
        self._exporting = False
        self._exported = 0
        self._dropping = False

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="jaeger2otlp-spans", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # the interpreter is on its way out
                    return
                self._thread = thread

    def _run(self) -> None:
        # the exporter's own HTTP client may be instrumented: its spans would never end
        attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        while not self._closed:
            self._some.wait()
            self._some.clear()
            self._wake.wait(self._flush_interval)
            self._wake.clear()
            self._export_all()
        self._export_all()

    def _hurry(self) -> None:
        self._wake.set()
        self._some.set()

    def _export_all(self) -> None:
        self._exporting = True
        while self._queue and not self._out_of_time:
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), MAX_BATCH))]
            self._export(batch)
        self._dropping = False
        with self._progress:
            self._exporting = False
            self._exported += 1
            self._progress.notify_all()

    def _export(self, batch: Sequence[Any]) -> None:
        try:
            if self._exporter is None:
                self._exporter = self._make_exporter()
            outcome = self._exporter.export(batch)
        except Exception:
            logger.exception("Exporting %d spans failed", len(batch))
            outcome = SpanExportResult.FAILURE
        ok = outcome is SpanExportResult.SUCCESS
        self._observe("ok" if ok else "err", len(batch))

    def _drop(self) -> None:
        self.dropped += 1
        self._observe("dropped", 1)
        if not self._dropping and not self._closed:
            self._dropping = True  # until the queue was empty once: no warning in a loop
            logger.warning(
                "Span queue is full (%d); dropping the newest spans until it drains", self._capacity
            )


def _nothing() -> None:
    pass
