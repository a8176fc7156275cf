"""From received bytes to the queue: decode, translate, count. Nothing that comes in raises."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bridge.jaeger.inventory import Inventory
from bridge.jaeger.queue import Piece, PieceQueue
from bridge.jaeger.thrift import Batch, Malformed
from bridge.jaeger.translate import translate

logger = logging.getLogger(__name__)

PIECE_SPANS = 1000  # larger batches (over HTTP) are cut, so that a request can be of any size
LOG_SECONDS = 60.0


@dataclass
class Counts:
    """What happened since the start, by way in (`compact`, `binary`, `zipkin`, `http`)."""

    batches: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    spans: Counter[str] = field(default_factory=Counter)
    translated: int = 0
    refused_batches: Counter[tuple[str, str]] = field(default_factory=Counter)  # way, reason
    invalid_spans: int = 0  # an id of zero
    dropped: int = 0  # the queue was full


class Full(Exception):
    """The queue has no room for (all of) a batch."""


class Intake:
    """What every listener hands its bytes to, from any thread."""

    def __init__(self, queue: PieceQueue, inventory: Inventory) -> None:
        self.counts = Counts()
        self.inventory = inventory
        self.bad = BadInputLog()
        self._queue = queue
        self._lock = threading.Lock()

    def take(self, data: bytes, decode: Callable[[bytes], Batch], way: str, peer: str) -> None:
        """Decodes a packet or body and queues its spans.

        Raises `Malformed` and `Full`, both counted already, for who has a client to answer.
        """
        try:
            batch = decode(data)
            pieces = [translate(piece) for piece in _cut(batch)]
        except Malformed as error:
            self.refuse(way, error.reason, peer, len(data))
            raise
        except Exception as error:
            # Whatever input can still do to us, the next one must be taken.
            self.refuse(way, "error", peer, len(data), error=error)
            raise Malformed("error") from error
        full = False
        with self._lock:
            counts = self.counts
            counts.batches[way] += 1
            counts.bytes[way] += len(data)
            counts.spans[way] += len(batch.spans)
            for done in pieces:
                counts.invalid_spans += done.invalid
                counts.translated += done.spans
                if done.spans and not self._queue.put(Piece(done.data, done.spans)):
                    counts.dropped += done.spans
                    full = True
            self.inventory.note(batch, way, peer, time.time())
        if full:
            raise Full

    def refuse(
        self, way: str, reason: str, peer: str, size: int = 0, error: Exception | None = None
    ) -> None:
        """Counts input that is not used, and tells of it, at most once a minute."""
        with self._lock:
            self.counts.refused_batches[way, reason] += 1
            self.counts.bytes[way] += size
        self.bad.note(way, reason, peer, error)


def _cut(batch: Batch) -> Iterator[Batch]:
    if batch.spans is None or len(batch.spans) <= PIECE_SPANS:
        yield batch
        return
    for start in range(0, len(batch.spans), PIECE_SPANS):
        part = Batch()
        part.process = batch.process
        part.spans = batch.spans[start : start + PIECE_SPANS]
        yield part


class BadInputLog:
    """One line a minute at most, however much bad input there is."""

    def __init__(self, seconds: float = LOG_SECONDS) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._pending: Counter[str] = Counter()
        self._last = -seconds

    def note(self, way: str, reason: str, peer: str, error: Exception | None = None) -> None:
        """`peer` is an address; what was sent is never logged. `error` is one of ours."""
        with self._lock:
            self._pending[f"{way} {reason}"] += 1
            now = time.monotonic()
            if now - self._last < self._seconds:
                return
            self._last, told = now, self._pending
            self._pending = Counter()
        what = ", ".join(f"{count} x {name}" for name, count in told.most_common(10))
        logger.warning("refused: %s (the last from %s)", what, peer, exc_info=error)
