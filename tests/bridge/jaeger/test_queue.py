"""The bounded queue."""

from __future__ import annotations

import threading
import time

from bridge.jaeger.queue import PIECE_OVERHEAD_BYTES, Piece, PieceQueue


def piece(size: int = 10, spans: int = 1) -> Piece:
    return Piece(b"x" * size, spans)


def test_an_empty_queue_gives_nothing_only_when_it_is_closed() -> None:
    queue = PieceQueue(1000)
    threading.Timer(0.05, queue.close).start()
    assert queue.take(1, 1000, 60) == []


def test_what_went_in_first_comes_out_first() -> None:
    queue = PieceQueue(10_000)
    pieces = [piece(1), piece(2), piece(3)]
    assert all(queue.put(one) for one in pieces)
    assert queue.take(10, 1000, 0) == pieces
    assert (queue.bytes, queue.spans) == (0, 0)


def test_what_does_not_fit_is_refused() -> None:
    queue = PieceQueue(2 * (PIECE_OVERHEAD_BYTES + 10))
    assert [queue.put(piece()) for _ in range(3)] == [True, True, False]
    queue.take(1, 1000, 0)
    assert queue.put(piece())


def test_a_request_is_bounded_in_spans_and_bytes() -> None:
    queue = PieceQueue(100_000)
    for _ in range(10):
        queue.put(piece(100, spans=3))
    assert len(queue.take(7, 10_000, 0)) == 2
    assert len(queue.take(100, 350, 0)) == 3
    assert queue.spans == 15


def test_one_large_piece_goes_alone() -> None:
    queue = PieceQueue(100_000)
    queue.put(piece(5000))
    queue.put(piece())
    assert len(queue.take(100, 1000, 0)) == 1


def test_a_full_request_does_not_wait() -> None:
    queue = PieceQueue(10_000)
    threading.Timer(0.05, lambda: [queue.put(piece()) for _ in range(5)]).start()
    began = time.monotonic()
    assert len(queue.take(5, 1000, 10)) == 5
    assert time.monotonic() - began < 5


def test_a_closed_queue_takes_no_more_but_gives_what_it_has() -> None:
    queue = PieceQueue(10_000)
    queue.put(piece())
    queue.close()
    assert not queue.put(piece())
    assert not queue.finished
    assert len(queue.take(100, 1000, 60)) == 1
    assert queue.finished
