"""Debug spans on credit: the throttlers of jaeger_client."""

from __future__ import annotations

import json
import logging
import random
import threading
from typing import Any

from .constants import DEFAULT_THROTTLER_REFRESH_INTERVAL
from .local_agent_net import PeriodicCallback
from .metrics import Metrics, MetricsFactory
from .utils import ErrorReporter

MINIMUM_CREDITS = 1.0

default_logger = logging.getLogger("jaeger_tracing")


class Throttler:
    """Decides whether a span may become a debug span."""

    def set_client_id(self, client_id: int) -> None:
        """Called by the tracer, once."""

    def is_allowed(self, operation: str) -> bool:
        raise NotImplementedError

    def close(self) -> None:
        pass


class RemoteThrottler(Throttler):
    """Asks the agent for credits. An operation it knows nothing of has none.

    No server that gives credits is known today; Jaeger v2 has none.
    """

    def __init__(self, channel: Any, service_name: str, **kwargs: Any) -> None:
        self.channel = channel
        self.service_name = service_name
        self.client_id: int | None = None
        self.refresh_interval = kwargs.get("refresh_interval", DEFAULT_THROTTLER_REFRESH_INTERVAL)
        self.logger = kwargs.get("logger", default_logger)
        self.metrics = ThrottlerMetrics(kwargs.get("metrics_factory") or MetricsFactory())
        self.error_reporter = kwargs.get("error_reporter") or ErrorReporter(Metrics())
        self.credits: dict[str, float] = {}
        self.lock = threading.Lock()
        self.running = True
        self.periodic: Any = None
        if not channel.io_loop:
            self.logger.error("Cannot acquire IOLoop, throttler will not be updated")
        else:
            channel.io_loop.add_callback(self._init_polling)

    def is_allowed(self, operation: str) -> bool:
        with self.lock:
            balance = self.credits.setdefault(operation, 0.0)
            if balance < MINIMUM_CREDITS:
                self.metrics.throttled_debug_spans(1)
                return False
            self.credits[operation] = balance - MINIMUM_CREDITS
            return True

    def set_client_id(self, client_id: int) -> None:
        if self.client_id is None:
            self.client_id = client_id

    def close(self) -> None:
        with self.lock:
            self.running = False
            if self.periodic:
                self.periodic.stop()

    def _init_polling(self) -> None:
        with self.lock:
            if not self.running:
                return
            delay = random.random() * self.refresh_interval
            self.channel.io_loop.call_later(delay=delay, callback=self._delayed_polling)
            self.logger.info("Delaying throttling credit polling by %d sec", delay)

    def _delayed_polling(self) -> None:
        self._fetch_credits()
        with self.lock:
            if not self.running:
                return
            self.periodic = PeriodicCallback(
                self.channel.io_loop, self._fetch_credits, self.refresh_interval
            )

    def _fetch_credits(self) -> None:
        with self.lock:
            operations = list(self.credits)
        if operations:
            future = self.channel.request_throttling_credits(
                self.service_name, self.client_id, operations
            )
            future.add_done_callback(self._request_callback)

    def _request_callback(self, future: Any) -> None:
        error = future.exception()
        if error:
            self.metrics.throttler_update_failure(1)
            self.error_reporter.error(
                "Failed to get throttling credits from jaeger-agent: %s", error
            )
            return
        body = future.result().body
        try:
            self._update_credits(json.loads(body))
            self.metrics.throttler_update_success(1)
        except Exception as error:  # noqa: BLE001 - reported
            self.metrics.throttler_update_failure(1)
            self.error_reporter.error(
                "Failed to parse throttling credits response from jaeger-agent: %s [%s]",
                error,
                body,
            )

    def _update_credits(self, response: Any) -> None:
        with self.lock:
            for entry in response["balances"]:
                operation = entry["operation"]
                self.credits[operation] = self.credits.get(operation, 0.0) + entry["balance"]


class ThrottlerMetrics:
    """The counters of a throttler, under jaeger_client's names."""

    def __init__(self, metrics_factory: MetricsFactory) -> None:
        counter = metrics_factory.create_counter
        self.throttled_debug_spans = counter("jaeger:throttled_debug_spans")
        self.throttler_update_success = counter("jaeger:throttler_update", {"result": "ok"})
        self.throttler_update_failure = counter("jaeger:throttler_update", {"result": "err"})
