"""Sends what is queued to the OTLP endpoint: one thread, one request at a time."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from bridge.jaeger.queue import Piece, PieceQueue
from bridge.otlp.sender import Answer, OtlpSender, Outcome

logger = logging.getLogger(__name__)

MAX_REQUEST_BYTES = 2 * 1024 * 1024  # OTLP receivers over gRPC take 4 MiB by default
TRY_SECONDS = 2.0  # how long the sender tries before we look whether to stop
PAUSE_SECONDS = 0.2
LOG_SECONDS = 60.0


@dataclass
class Sent:
    """What became of spans that left the queue."""

    exported: int = 0
    requests: int = 0
    failed: Counter[str] = field(default_factory=Counter)  # reason: spans


class Exporter:
    """Takes from the queue until it is closed and empty.

    While the endpoint is unavailable it tries the same request for `patience` seconds and then
    drops it, counted; the queue fills up meanwhile.
    """

    def __init__(
        self,
        queue: PieceQueue,
        sender: OtlpSender,
        *,
        batch_spans: int,
        batch_seconds: float,
        patience: float,
    ) -> None:
        self.sent = Sent()
        self.failing_since: float | None = None
        self._queue, self._sender = queue, sender
        self._batch_spans, self._batch_seconds = batch_spans, batch_seconds
        self._patience = patience
        self._draining = threading.Event()
        self._give_up = float("inf")
        self._logged = -LOG_SECONDS
        self._thread = threading.Thread(target=self._run, name="otlp-export", daemon=True)
        self._thread.start()

    def drain(self, seconds: float) -> bool:
        """Closes the queue and sends what is left; False when not all of it was accepted in time.

        What is still there then counts as failed.
        """
        failed = sum(self.sent.failed.values())
        self._give_up = time.monotonic() + seconds
        self._draining.set()
        self._queue.close()
        self._thread.join(seconds)
        self._sender.close()  # ends a request that hangs
        self._thread.join(1.0)
        left = self._queue.take(sys.maxsize, sys.maxsize, 0)
        if left:
            self.sent.failed["shutdown"] += sum(piece.spans for piece in left)
        return not self._thread.is_alive() and sum(self.sent.failed.values()) == failed

    def _run(self) -> None:
        while not self._queue.finished:
            pieces = self._queue.take(self._batch_spans, MAX_REQUEST_BYTES, self._batch_seconds)
            if not pieces:
                continue
            try:
                self._export(pieces)
            except Exception:
                logger.exception("export: an unexpected error")
                self.sent.failed["error"] += sum(piece.spans for piece in pieces)

    def _export(self, pieces: list[Piece]) -> None:
        spans = sum(piece.spans for piece in pieces)
        answer = self._send(b"".join(piece.data for piece in pieces))
        self.sent.requests += 1
        if answer.accepted:
            self.sent.exported += spans - answer.rejected
            if answer.rejected:
                self._lost("rejected", answer.rejected, answer.text)
        elif answer.outcome is Outcome.TOO_LARGE and len(pieces) > 1:
            half = len(pieces) // 2
            self._export(pieces[:half])
            self._export(pieces[half:])
        else:
            self._lost(answer.outcome.value.replace(" ", "-"), spans, answer.text)

    def _send(self, body: bytes) -> Answer:
        started = time.monotonic()
        while True:
            answer = self._sender.send(body, min(TRY_SECONDS, self._give_up - time.monotonic()))
            now = time.monotonic()
            if answer.outcome is not Outcome.UNAVAILABLE:
                self._recovered()
                return answer
            self._failing(answer)
            if now - started > self._patience or now > self._give_up:
                return answer
            self._pause(answer.retry_after or PAUSE_SECONDS)

    def _pause(self, seconds: float) -> None:
        if self._draining.wait(seconds):
            time.sleep(PAUSE_SECONDS)

    def _failing(self, answer: Answer) -> None:
        if self.failing_since is None:
            self.failing_since = time.time()
            logger.warning("export to %s fails: %s", self._sender.settings.address, answer.text)

    def _recovered(self) -> None:
        if self.failing_since is not None:
            logger.info("export to %s works again", self._sender.settings.address)
            self.failing_since = None

    def _lost(self, reason: str, spans: int, text: str) -> None:
        self.sent.failed[reason] += spans
        if time.monotonic() - self._logged >= LOG_SECONDS:
            self._logged = time.monotonic()
            logger.warning("spans lost: %d %s (%s)", spans, reason, text)
