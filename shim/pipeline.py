"""From finished spans to OTLP: resource, exporter, processors."""

from __future__ import annotations

import atexit
import logging
import os
import time
import weakref
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SynchronousMultiSpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased

from shim.batch import MAX_BATCH, SpanQueue
from shim.endpoint import Endpoint, endpoint
from shim.samplers import JaegerSampler
from shim.values import scalar

logger = logging.getLogger("jaeger_tracing")

# As jaeger's own thrift receiver renames them; the old names stay beside the new ones, because
# dashboards may ask for either.
_RENAMED = {"hostname": "host.name"}
_CLIENT_VERSION = ("jaeger.version", "opencensus.exporterversion", "Jaeger-")

EXIT_TIMEOUT_MILLIS = 5000

# Four times OpenTelemetry's: our spans are made three times as fast, and a burst fills the queue
# as much faster. Full of spans with three tags and a log it holds 9 MB.
DEFAULT_CAPACITY = 8192

_EXPORTERS = {
    "grpc": "opentelemetry.exporter.otlp.proto.grpc.trace_exporter",
    "http/protobuf": "opentelemetry.exporter.otlp.proto.http.trace_exporter",
}

_ours: weakref.WeakSet[TracerProvider] = weakref.WeakSet()
_open: set[TracerProvider] = set()  # to be ended with the process


def resource_of(service_name: str, tags: Mapping[str, Any], max_length: int = 1024) -> Resource:
    """The process as a resource. OTEL_RESOURCE_ATTRIBUTES count, below what the program says."""
    attributes = {str(key): scalar(value, max_length, max_length) for key, value in tags.items()}
    for old, new in _RENAMED.items():
        if old in attributes:
            attributes.setdefault(new, attributes[old])
    old, new, prefix = _CLIENT_VERSION
    if old in attributes:
        attributes.setdefault(new, f"{prefix}{attributes[old]}")
    return Resource.create({**attributes, "service.name": service_name})


def span_queue(
    exporter: Callable[[], SpanExporter],
    *,
    capacity: int | None = None,
    wake_at: int | None = None,
    flush_interval: float | None = None,
    observe: Callable[[str, int], None] = lambda result, count: None,
) -> SpanQueue:
    """The queue before an exporter, which is made at the first export.

    What is None comes from OTEL_BSP_MAX_QUEUE_SIZE, OTEL_BSP_MAX_EXPORT_BATCH_SIZE and
    OTEL_BSP_SCHEDULE_DELAY (milliseconds), else 8192 spans, 512 spans, one second.
    """
    if capacity is None:
        capacity = int(_number("OTEL_BSP_MAX_QUEUE_SIZE", DEFAULT_CAPACITY))
    if wake_at is None:
        wake_at = int(_number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", MAX_BATCH))
    if flush_interval is None:
        flush_interval = _number("OTEL_BSP_SCHEDULE_DELAY", 1000) / 1000
    return SpanQueue(
        exporter,
        capacity=capacity,
        wake_at=wake_at,
        flush_interval=flush_interval,
        observe=observe,
    )


def make_exporter(agent_host: str | None, protocol: str | None = None) -> SpanExporter:
    """The exporters that OTEL_TRACES_EXPORTER names, OTLP (spoken as `protocol`) without it.

    What cannot be made is logged and left out.
    """
    names = [name.strip() for name in os.environ.get("OTEL_TRACES_EXPORTER", "otlp").split(",")]
    exporters: list[SpanExporter] = []
    for name in names:
        if name in ("", "none"):
            continue
        try:
            exporters.append(
                otlp_exporter(agent_host, protocol) if name == "otlp" else _by_name(name)
            )
        except Exception:
            logger.exception("Span exporter %r cannot be used; its spans are lost", name)
    return exporters[0] if len(exporters) == 1 else _Several(exporters)


def otlp_exporter(agent_host: str | None, protocol: str | None = None) -> SpanExporter:
    """The OTLP exporter, with the fast encoder unless JAEGER2OTLP_FAST_ENCODER is `false`."""
    where = endpoint(agent_host, protocol=protocol)
    if where.url is not None:
        logger.info("Spans go to %s as OTLP (%s)", where.url, where.protocol)
    if os.environ.get("JAEGER2OTLP_FAST_ENCODER", "").lower() != "false":
        from shim.exporter import fast_exporter

        return fast_exporter(where)
    return standard_exporter(where)


def standard_exporter(where: Endpoint) -> SpanExporter:
    """OpenTelemetry's own exporter; while a receiver is down it says so once a minute."""
    for name in _LOUD:
        log = logging.getLogger(name)
        if not any(isinstance(each, _OnceAMinute) for each in log.filters):
            log.addFilter(_OnceAMinute())
    kind = import_module(_EXPORTERS[where.protocol]).OTLPSpanExporter
    return kind() if where.url is None else kind(endpoint=where.url)  # type: ignore[no-any-return]


def load_exporter(protocol: str | None = None) -> None:
    """Imports what the exporter needs, which at the end of a short program would be too late."""
    if "otlp" in os.environ.get("OTEL_TRACES_EXPORTER", "otlp"):
        try:
            import_module(_EXPORTERS[endpoint(None, protocol=protocol).protocol])
        except ImportError as error:
            logger.error("Spans cannot be exported: %s; pip install 'jaeger2otlp[shim]'", error)


def new_provider(
    resource: Resource,
    queue: SpanQueue,
    sampler: Any = None,
    limits: SpanLimits | None = None,
    protocol: str | None = None,
) -> TracerProvider:
    """A provider that ends with the process, within EXIT_TIMEOUT_MILLIS."""
    provider = TracerProvider(
        sampler=sampler,
        resource=resource,
        span_limits=limits,
        shutdown_on_exit=False,
        active_span_processor=Processors(),
    )
    provider.add_span_processor(queue)
    _ours.add(provider)
    load_exporter(protocol)
    _open.add(provider)
    return provider


def end(provider: TracerProvider) -> None:
    """Exports what waits in a provider of ours, within EXIT_TIMEOUT_MILLIS."""
    for processor in provider._active_span_processor._span_processors:
        if isinstance(processor, SpanQueue):
            processor.shutdown(EXIT_TIMEOUT_MILLIS)
        else:
            processor.shutdown()
    _open.discard(provider)  # not sooner: the end of the process waits for what is still under way


@atexit.register
def _end_all() -> None:
    for provider in list(_open):
        end(provider)


def applications_provider() -> TracerProvider | None:
    """The SDK provider the application has set, if it has; one of ours is not that."""
    current = trace._TRACER_PROVIDER
    return current if isinstance(current, TracerProvider) and current not in _ours else None


def share_provider(tracer: Any) -> None:
    """Makes a tracer's pipeline the one of native spans too, unless the application has its own.

    Native roots are then sampled by the tracer's sampler.
    """
    provider = getattr(tracer.reporter, "provider", None)
    if provider is not None and trace._TRACER_PROVIDER is None:
        provider.sampler = ParentBased(LegacySampler(tracer))
        trace.set_tracer_provider(provider)


class Processors(SynchronousMultiSpanProcessor):
    """The processors of a provider, telling whether any of them wants to see starts."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._tell: Callable[[bool], None] = lambda wanted: None

    def when_changed(self, tell: Callable[[bool], None]) -> None:
        """Calls `tell` now and after each change."""
        self._tell = tell
        self._look()

    def add_span_processor(self, span_processor: Any) -> None:
        super().add_span_processor(span_processor)
        self._look()

    def _look(self) -> None:
        self._tell(any(type(each).__module__ not in _NO_STARTS for each in self._span_processors))


# Modules whose processors do nothing in on_start: for them no span has to be shown.
_NO_STARTS = ("opentelemetry.sdk.trace.export", "shim.batch")


class LegacySampler(JaegerSampler):
    """The decision of a legacy tracer's sampler, for native roots."""

    def __init__(self, tracer: Any) -> None:
        self._tracer = tracer

    def decide(self, trace_id: int, operation: str) -> tuple[bool, dict[str, Any]]:
        sampled, tags = self._tracer.sampler.is_sampled(trace_id, operation)
        return bool(sampled), tags

    def __repr__(self) -> str:
        return f"LegacySampler({self._tracer.sampler})"


class _OnceAMinute(logging.Filter):
    """Lets a message through once a minute, whatever its arguments."""

    def __init__(self) -> None:
        super().__init__()
        self._next: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        due = now >= self._next.get(str(record.msg), 0.0)
        if due and len(self._next) < 100:
            self._next[str(record.msg)] = now + 60.0
        return due


# Where OpenTelemetry's exporters log each retry of each batch.
_LOUD = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
)


class _Several(SpanExporter):
    """All exporters of OTEL_TRACES_EXPORTER; none for `none`."""

    def __init__(self, exporters: list[SpanExporter]) -> None:
        self._exporters = exporters

    def export(self, spans: Any) -> SpanExportResult:
        outcomes = [exporter.export(spans) for exporter in self._exporters]
        failed = SpanExportResult.FAILURE in outcomes
        return SpanExportResult.FAILURE if failed else SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        for exporter in self._exporters:
            exporter.shutdown()


def _by_name(name: str) -> SpanExporter:
    found = list(entry_points(group="opentelemetry_traces_exporter", name=name))
    if not found:
        raise LookupError(f"no installed package offers a span exporter named {name!r}")
    return found[0].load()()  # type: ignore[no-any-return]


def _number(variable: str, default: float) -> float:
    given = os.environ.get(variable, "").strip()
    try:
        return float(given) if given else default
    except ValueError:
        logger.warning("%s: %r is no number; using %s", variable, given, default)
        return default
