"""The push: a timer thread, requests cut smaller when a receiver wants that, an end that flushes.

Points are cumulative, so a push that failed is not queued: the next one says more.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from opentelemetry import context

from bridge.metrics.encoder import Request
from bridge.metrics.problems import Problems
from bridge.otlp.sender import OtlpSender, Outcome
from bridge.otlp.settings import Settings

FORK_SECONDS = 0.5
REFUSED, UNAVAILABLE = "push refused", "receiver unavailable"
REJECTED, LOST = "points rejected", "points dropped"
_SUPPRESS = getattr(context, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")


class Pusher:
    """Sends what `collect` makes every `interval` seconds, each time within `timeout` seconds.

    `delivered` is called when all requests of a push were accepted.
    """

    def __init__(
        self,
        settings: Settings,
        collect: Callable[[], Sequence[Request]],
        delivered: Callable[[], None],
        problems: Problems,
        *,
        interval: float,
        timeout: float,
    ) -> None:
        self._settings, self._problems = settings, problems
        self._collect, self._delivered = collect, delivered
        self._interval, self._timeout = interval, timeout
        self._sender: OtlpSender | None = None
        self._closed = False
        self._renew()

    def start(self) -> None:
        _import_early(self._settings.protocol)
        self._thread = threading.Thread(target=self._run, name="metrics-push", daemon=True)
        self._thread.start()

    def push(self, timeout: float | None = None) -> bool:
        """Pushes now; False when not everything was accepted within `timeout` seconds."""
        seconds = self._timeout if timeout is None else timeout
        deadline = time.monotonic() + seconds
        if not self._lock.acquire(timeout=max(seconds, 0.0)):
            return False
        try:
            with _no_instrumentation():
                return not self._closed and self._push(deadline)
        except Exception as error:  # noqa: BLE001 - a timer thread that ends is silence for ever
            self._problems.report("push failed", self._settings.address, type(error).__name__)
            return False
        finally:
            self._lock.release()

    def close(self, timeout: float) -> bool:
        """Stops the timer, pushes a last time, and lets go of the connection.

        A push that is under way is waited for; what cannot be sent within `timeout` seconds is
        given up.
        """
        if self._closed:
            return True
        self._stop.set()
        done = self.push(timeout)
        self._closed = True
        if self._sender is not None:
            self._sender.close()
        return done

    def before_fork(self) -> None:
        """Lets a push that is under way finish, if that is soon: the child inherits its locks."""
        self._held_for_fork = self._lock.acquire(timeout=FORK_SECONDS)

    def after_fork_in_parent(self) -> None:
        if self._held_for_fork:
            self._held_for_fork = False
            self._lock.release()

    def after_fork_in_child(self) -> None:
        """A thread and a connection do not survive a fork; the child makes its own."""
        self._sender = None
        self._renew()
        if not self._closed:
            self.start()

    def _renew(self) -> None:
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._held_for_fork = False

    def _run(self) -> None:
        stop = self._stop
        while not stop.wait(self._interval):
            self.push()

    def _push(self, deadline: float) -> bool:
        requests = self._collect()
        accepted = True
        for request in requests:
            accepted = self._send(request, deadline) and accepted
        if accepted:
            self._delivered()
        return accepted

    def _send(self, request: Request, deadline: float) -> bool:
        if self._sender is None:
            self._sender = OtlpSender(self._settings)
        patience = deadline - time.monotonic()
        address = self._settings.address
        if patience <= 0:
            self._problems.report(UNAVAILABLE, address, "no time left", request.points)
            return False
        answer = self._sender.send(request.body(), patience)
        if answer.outcome is Outcome.ACCEPTED:
            self._problems.settle(UNAVAILABLE, address)
            if answer.rejected or answer.text:
                self._problems.report(REJECTED, address, answer.text, answer.rejected)
            return True
        if answer.outcome is Outcome.TOO_LARGE:
            return self._send_halves(request, deadline, answer.text)
        kind = UNAVAILABLE if answer.outcome is Outcome.UNAVAILABLE else REFUSED
        self._problems.report(kind, address, answer.text, request.points)
        return False

    def _send_halves(self, request: Request, deadline: float, text: str) -> bool:
        halves = request.halves()
        if halves is None:
            self._problems.report(LOST, self._settings.address, text)
            return True
        first, second = (self._send(half, deadline) for half in halves)
        return first and second


def _import_early(protocol: str) -> None:
    """What a first push would import: a fork in the middle of that leaves an import lock locked."""
    for name in (
        "opentelemetry.proto.collector.metrics.v1.metrics_service_pb2",
        *_IMPORTS[protocol],
    ):
        importlib.import_module(name)


_IMPORTS = {"http": ("urllib3", "encodings.idna"), "grpc": ("grpc", "google.rpc.status_pb2")}


@contextlib.contextmanager
def _no_instrumentation() -> Iterator[None]:
    """The push must not make spans and metrics of itself."""
    token = context.attach(context.set_value(_SUPPRESS, True))
    try:
        yield
    finally:
        context.detach(token)
