"""jaeger_client's reporters; the one that sends does so as OTLP."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SynchronousMultiSpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from shim.pipeline import (
    EXIT_TIMEOUT_MILLIS,
    Processors,
    applications_provider,
    end,
    make_exporter,
    new_provider,
    resource_of,
    span_queue,
)
from shim.readable import SdkSpan

from .ioloop_util import submit
from .metrics import LegacyMetricsFactory, Metrics, MetricsFactory
from .span import Span
from .utils import ErrorReporter, Future, done

default_logger = logging.getLogger("jaeger_tracing")


class BaseReporter:
    """Takes finished spans. Applications subclass it."""

    # Called with each sampled span at its start, where somebody wants to know.
    span_started: Callable[[Any], None] | None = None

    def report_span(self, span: Any) -> None:
        raise NotImplementedError

    def set_process(self, service_name: str, tags: Any, max_length: int) -> None:
        """Told by the tracer, once."""

    def close(self) -> Future:
        return done()


class NullReporter(BaseReporter):
    """Forgets all spans."""

    def report_span(self, span: Any) -> None:
        pass


class InMemoryReporter(BaseReporter):
    """Keeps spans for tests to look at."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.lock = threading.Lock()

    def report_span(self, span: Any) -> None:
        with self.lock:
            self.spans.append(span)

    def get_spans(self) -> list[Any]:
        with self.lock:
            return self.spans[:]


class LoggingReporter(BaseReporter):
    """Logs one line for each span."""

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self.logger = logger or default_logger

    def report_span(self, span: Any) -> None:
        self.logger.info("Reporting span %s", span)


class Batch(NamedTuple):
    """What leaves at once."""

    spans: Any


class Reporter(BaseReporter):
    """Sends spans as OTLP, to the host of `channel` unless OTLP settings say otherwise.

    Where the application has set an SDK TracerProvider, spans go through that one's processors.
    `batch_size` spans are sent without waiting for `flush_interval` (seconds); a request holds
    more when more wait, as the size of a datagram is no limit any more. `io_loop` is not needed.
    """

    def __init__(
        self,
        channel: Any,
        queue_capacity: int | None = None,
        batch_size: int | None = None,
        flush_interval: float | None = None,
        io_loop: Any = None,
        error_reporter: ErrorReporter | None = None,
        metrics: Metrics | None = None,
        metrics_factory: MetricsFactory | None = None,
        **kwargs: Any,
    ) -> None:
        if None not in (queue_capacity, batch_size) and queue_capacity < batch_size:  # type: ignore[operator]
            raise ValueError("Queue capacity cannot be less than batch size")
        self._channel = channel
        self.queue_capacity = queue_capacity
        self.batch_size = batch_size
        self.flush_interval = flush_interval
        self.io_loop = io_loop
        self.metrics_factory = metrics_factory or LegacyMetricsFactory(metrics or Metrics())
        self.metrics = ReporterMetrics(self.metrics_factory)
        self.error_reporter = error_reporter or ErrorReporter(Metrics())
        self.logger = kwargs.get("logger", default_logger)
        self._exporter: SpanExporter | None = None
        self._resource = Resource.get_empty()
        self._provider: TracerProvider | None = None
        self._processors: Any = SynchronousMultiSpanProcessor()  # type: ignore[no-untyped-call]

    @property
    def provider(self) -> TracerProvider | None:
        """The provider whose processors get the spans; None before `set_process`."""
        return self._provider

    def set_process(self, service_name: str, tags: dict[str, Any], max_length: int) -> None:
        self._resource = resource_of(service_name, tags, max_length or 1024)
        self._queue = span_queue(
            self._new_exporter,
            capacity=_whole(self.queue_capacity),
            wake_at=_whole(self.batch_size),
            flush_interval=self.flush_interval or None,
            observe=self._count,
        )
        self._provider = applications_provider()
        self._is_guest = self._provider is not None
        if self._provider is None:
            self._provider = new_provider(self._resource, self._queue)
        self._processors = self._provider._active_span_processor
        if isinstance(self._processors, Processors):
            self._processors.when_changed(self._look_for_starts)
        else:
            self.span_started = self._tell_start

    def report_span(self, span: Span) -> None:
        self._processors.on_end(SdkSpan(span, self._resource))

    def close(self) -> Future:
        """Sends what waits, in the background; the future is done when that is."""
        future = Future()

        def flush() -> None:
            if self._is_guest or self._provider is None:
                self._processors.force_flush(EXIT_TIMEOUT_MILLIS)
            else:
                end(self._provider)
            future.set_result(True)

        threading.Thread(target=flush, name="jaeger2otlp-close", daemon=True).start()
        return future

    def _look_for_starts(self, wanted: bool) -> None:
        self.span_started = self._tell_start if wanted else None

    def _tell_start(self, span: Span) -> None:
        try:
            self._processors.on_start(SdkSpan(span, self._resource), None)
        except Exception:
            self.logger.exception("A span processor failed in on_start")

    def _new_exporter(self) -> SpanExporter:
        self._exporter = None  # after a fork the parent's is of no use
        return _ThroughReporter(self)

    def _submit(self, spans: Any) -> Future:
        """Sends; the future's result is False when that failed."""
        if not spans:
            return done()
        batch = Batch(spans)
        try:
            if self.io_loop is None or self._send == Reporter._send.__get__(self):
                outcome = self._send(batch)
            else:  # the application's own `_send` runs where jaeger_client ran it
                outcome = submit(self._send, self.io_loop, batch).result(_SEND_TIMEOUT)
            ok = outcome is not SpanExportResult.FAILURE
        except Exception as error:  # noqa: BLE001 - reported
            self.error_reporter.error("Failed to submit traces: %s", error)
            ok = False
        return done(ok)

    def _send(self, batch: Batch) -> Any:
        if self._exporter is None:
            host = getattr(self._channel, "host", None)
            self._exporter = make_exporter(host if isinstance(host, str) else None)
        return self._exporter.export(batch.spans)

    def _count(self, result: str, count: int) -> None:
        metrics = self.metrics
        {
            "ok": metrics.reporter_success,
            "err": metrics.reporter_failure,
            "dropped": metrics.reporter_dropped,
        }[result](count)
        if result != "dropped":
            metrics.reporter_queue_length(len(self._queue))


class ReporterMetrics:
    """The metrics of a reporter, under jaeger_client's names."""

    def __init__(self, metrics_factory: MetricsFactory) -> None:
        counter = metrics_factory.create_counter
        self.reporter_success = counter("jaeger:reporter_spans", {"result": "ok"})
        self.reporter_failure = counter("jaeger:reporter_spans", {"result": "err"})
        self.reporter_dropped = counter("jaeger:reporter_spans", {"result": "dropped"})
        self.reporter_queue_length = metrics_factory.create_gauge("jaeger:reporter_queue_length")


class CompositeReporter(BaseReporter):
    """Hands every span to several reporters."""

    def __init__(self, *reporters: BaseReporter) -> None:
        self.reporters = reporters

    @property
    def span_started(self) -> Callable[[Any], None] | None:  # type: ignore[override]
        wanted = [each.span_started for each in self.reporters if each.span_started is not None]
        if not wanted:
            return None

        def tell_all(span: Any) -> None:
            for tell in wanted:
                tell(span)

        return tell_all

    @property
    def provider(self) -> TracerProvider | None:
        found = (getattr(reporter, "provider", None) for reporter in self.reporters)
        return next((provider for provider in found if provider is not None), None)

    def set_process(self, service_name: str, tags: Any, max_length: int) -> None:
        for reporter in self.reporters:
            reporter.set_process(service_name, tags, max_length)

    def report_span(self, span: Any) -> None:
        for reporter in self.reporters:
            reporter.report_span(span)

    def close(self) -> Future:
        """Done when all are."""
        future = Future()
        waiting = list(self.reporters)
        lock = threading.Lock()

        def closed(_: Any) -> None:
            with lock:
                waiting.pop()
                last = not waiting
            if last:
                future.set_result(True)

        for reporter in self.reporters:
            reporter.close().add_done_callback(closed)
        return future


class _ThroughReporter(SpanExporter):
    """The queue's way to `Reporter._send`, which subclasses replace."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def export(self, spans: Any) -> SpanExportResult:
        sent = self._reporter._submit(spans).result()
        return SpanExportResult.SUCCESS if sent else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        exporter = self._reporter._exporter
        if exporter is not None:
            exporter.shutdown()


_SEND_TIMEOUT = 30.0


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)
