"""The agent's host and HTTP port: where the remote sampler asks, and where spans go by hint."""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any, NamedTuple

from .utils import Future

logger = logging.getLogger("jaeger_tracing")


class Response(NamedTuple):
    """What of an HTTP response is looked at."""

    code: int
    body: bytes


class Loop:
    """Calls functions later, in one daemon thread: what samplers and throttlers need of an IOLoop.

    The thread starts with the first call, and anew in a forked child.
    """

    _thread: threading.Thread | None

    def __init__(self) -> None:
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._restart)

    def add_callback(self, callback: Callable[..., Any], *args: Any) -> None:
        self.call_later(0, callback, *args)

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> None:
        """Calls `callback(*args)` in `delay` seconds."""
        with self._wake:
            due = time.monotonic() + delay
            heapq.heappush(self._calls, (due, next(self._order), callback, args))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="jaeger2otlp-loop", daemon=True
                )
                self._thread.start()
            self._wake.notify()

    def _reset(self) -> None:
        self._wake = threading.Condition()
        self._calls: list[Any] = []
        self._order = itertools.count()
        self._thread = None

    def _restart(self) -> None:
        pending = self._calls
        self._reset()
        for due, _, callback, args in pending:
            self.call_later(max(due - time.monotonic(), 0), callback, *args)

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._calls or self._calls[0][0] > time.monotonic():
                    self._wake.wait(self._calls[0][0] - time.monotonic() if self._calls else None)
                _, _, callback, args = heapq.heappop(self._calls)
            try:
                callback(*args)
            except Exception:
                logger.exception("Background call failed")


class PeriodicCallback:
    """Calls `callback` every `seconds` on a loop, until stopped."""

    def __init__(self, loop: Any, callback: Callable[[], Any], seconds: float) -> None:
        self._loop = loop
        self._callback = callback
        self._seconds = seconds
        self._running = True
        self._later()

    def stop(self) -> None:
        self._running = False

    def _later(self) -> None:
        self._loop.call_later(self._seconds, self._fire)

    def _fire(self) -> None:
        if self._running:
            self._later()
            self._callback()


class LocalAgentHTTP:
    """GET requests to the agent, each in a thread of its own; answers are futures."""

    DEFAULT_TIMEOUT = 15
    _LARGEST_ANSWER = 8 << 20

    def __init__(self, host: str, port: int) -> None:
        self.agent_http_host = host
        self.agent_http_port = int(port)

    def request_sampling_strategy(
        self, service_name: str, timeout: float = DEFAULT_TIMEOUT
    ) -> Future:
        return self._request("sampling", timeout, [("service", service_name)])

    def request_throttling_credits(
        self,
        service_name: str,
        client_id: Any,
        operations: list[str],
        timeout: float = DEFAULT_TIMEOUT,
    ) -> Future:
        asked = [("operations", operation) for operation in operations]
        return self._request(
            "credits", timeout, [("service", service_name), ("uuid", str(client_id)), *asked]
        )

    def _request(self, path: str, timeout: float, args: list[tuple[str, str]]) -> Future:
        host = f"[{self.agent_http_host}]" if ":" in self.agent_http_host else self.agent_http_host
        query = urllib.parse.urlencode(args)
        url = f"http://{host}:{self.agent_http_port}/{path}?{query}"
        future = Future()
        threading.Thread(
            target=self._fetch, args=(url, timeout, future), name="jaeger2otlp-http", daemon=True
        ).start()
        return future

    def _fetch(self, url: str, timeout: float, future: Future) -> None:
        # urllib's default opener would ask a proxy from the environment for an agent next door
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(url, timeout=timeout) as answer:
                future.set_result(Response(answer.status, answer.read(self._LARGEST_ANSWER)))
        except Exception as error:  # noqa: BLE001 - it belongs to who waits
            future.set_exception(error)


class LocalAgentSender:
    """The channel of jaeger_client's reporter and remote sampler.

    Spans do not go through it any more; its host is where the OTLP exporter sends them, unless
    OTLP settings say otherwise.
    """

    def __init__(
        self,
        host: str,
        sampling_port: int,
        reporting_port: int,
        io_loop: Any = None,
        throttling_port: int | None = None,
    ) -> None:
        self.host = host
        self.reporting_port = reporting_port
        self.io_loop = io_loop or Loop()
        self.local_agent_http = LocalAgentHTTP(host, sampling_port)
        self.throttling_http = LocalAgentHTTP(host, throttling_port) if throttling_port else None

    def request_sampling_strategy(self, *args: Any, **kwargs: Any) -> Future:
        return self.local_agent_http.request_sampling_strategy(*args, **kwargs)

    def request_throttling_credits(self, *args: Any, **kwargs: Any) -> Future:
        if self.throttling_http is None:
            raise ValueError("no throttling_port was given")
        return self.throttling_http.request_throttling_credits(*args, **kwargs)
