"""jaeger_client's helpers around futures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .utils import Future, done


def submit(fn: Callable[..., Any], io_loop: Any, *args: Any, **kwargs: Any) -> Future:
    """Runs `fn` on the loop; the future gets its result, or what the future it returned gets."""
    outcome = Future()

    def finish(made: Any) -> None:
        error = made.exception()
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(made.result())

    def execute() -> None:
        try:
            result = fn(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - it belongs to who waits
            outcome.set_exception(error)
            return
        if hasattr(result, "add_done_callback"):
            result.add_done_callback(finish)
        else:
            outcome.set_result(result)

    io_loop.add_callback(execute)
    return outcome


def future_result(result: Any) -> Future:
    return done(result)


def future_exception(exception: BaseException) -> Future:
    future = Future()
    future.set_exception(exception)
    return future
