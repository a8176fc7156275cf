"""The bounded queue between receiving and exporting: pieces of requests, joined on the way out."""

from __future__ import annotations

import sys
import threading
from collections import deque
from typing import NamedTuple

PIECE_OVERHEAD_BYTES = 250  # what Python needs around one

_NEVER = sys.maxsize


class Piece(NamedTuple):
    """A serialised ResourceSpans, as a field of a request, and how many spans it holds."""

    data: bytes
    spans: int

    @property
    def cost(self) -> int:
        """Bytes of memory."""
        return len(self.data) + PIECE_OVERHEAD_BYTES


class PieceQueue:
    """Bounded in bytes; what does not fit is refused, so that the oldest gets out first."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = self.spans = 0
        self._pieces: deque[Piece] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._wanted = _NEVER

    def put(self, piece: Piece) -> bool:
        """Whether there was room."""
        with self._changed:
            if self._closed or self.bytes + piece.cost > self.max_bytes:
                return False
            self._pieces.append(piece)
            self.bytes += piece.cost
            self.spans += piece.spans
            if len(self._pieces) == 1 or self.spans >= self._wanted:
                self._changed.notify()
            return True

    def take(self, max_spans: int, max_bytes: int, seconds: float) -> list[Piece]:
        """The pieces of the next request: once there are `max_spans`, or what came in `seconds`
        after the first; it waits for the first one.

        Empty only when the queue is closed and empty. One piece may be larger than the bounds.
        """
        with self._changed:
            self._wanted = max_spans
            self._changed.wait_for(lambda: self._pieces or self._closed)
            self._changed.wait_for(lambda: self.spans >= max_spans or self._closed, seconds)
            self._wanted = _NEVER
            return self._pop(max_spans, max_bytes)

    def _pop(self, max_spans: int, max_bytes: int) -> list[Piece]:
        taken: list[Piece] = []
        spans = size = 0
        while self._pieces:
            piece = self._pieces[0]
            if taken and (spans + piece.spans > max_spans or size + len(piece.data) > max_bytes):
                break
            taken.append(self._pieces.popleft())
            spans += piece.spans
            size += len(piece.data)
            self.bytes -= piece.cost
        self.spans -= spans
        return taken

    def close(self) -> None:
        """No more may come in; what is there can still be taken, without waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def finished(self) -> bool:
        """Closed and empty."""
        return self._closed and not self._pieces
