"""The tracer: jaeger_client's, over OpenTelemetry's context and processors."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import socket
import sys
from collections.abc import Mapping
from typing import Any

import opentracing
from opentelemetry import trace
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY
from opentracing import Format, UnsupportedFormatException
from opentracing.tracer import Reference

from shim.codecs import DEBUG, SAMPLED
from shim.scope import ContextScopeManager, get_current, innermost, share
from shim.values import text
from shim.w3c import read_traceparent, w3c_wanted, write_traceparent

from . import constants
from .codecs import BinaryCodec, Codec, TextCodec, ZipkinCodec, ZipkinSpanFormat
from .metrics import LegacyMetricsFactory, Metrics, MetricsFactory, is_silent
from .reporter import BaseReporter
from .sampler import Sampler
from .span import Span
from .span_context import SpanContext
from .throttler import Throttler
from .utils import Future, local_ip

__all__ = ["Reference", "Tracer", "TracerMetrics"]

logger = logging.getLogger("jaeger_tracing")

_random = random.Random()
if hasattr(os, "register_at_fork"):  # else forked workers would draw the same ids
    os.register_at_fork(after_in_child=_random.seed)


class Tracer(opentracing.Tracer):  # type: ignore[misc]
    """Takes what jaeger_client 4.8's Tracer took. Without a `scope_manager` the active span is
    this tracer's own, in threads and asyncio tasks, and nests with native OpenTelemetry spans."""

    def __init__(
        self,
        service_name: str,
        reporter: BaseReporter,
        sampler: Sampler,
        metrics: Metrics | None = None,
        metrics_factory: MetricsFactory | None = None,
        trace_id_header: str = constants.TRACE_ID_HEADER,
        generate_128bit_trace_id: bool = False,
        baggage_header_prefix: str = constants.BAGGAGE_HEADER_PREFIX,
        debug_id_header: str = constants.DEBUG_ID_HEADER_KEY,
        one_span_per_rpc: bool = False,
        extra_codecs: dict[str, Codec] | None = None,
        tags: dict[str, Any] | None = None,
        max_tag_value_length: int = constants.MAX_TAG_VALUE_LENGTH,
        max_traceback_length: int = constants.MAX_TRACEBACK_LENGTH,
        throttler: Throttler | None = None,
        scope_manager: Any = None,
    ) -> None:
        super().__init__(scope_manager=scope_manager or ContextScopeManager())
        share(self._scope_manager)
        self._foreign_manager = not isinstance(self._scope_manager, ContextScopeManager)
        self.service_name = service_name
        self.reporter = reporter
        self.sampler = sampler
        self.metrics_factory = metrics_factory or LegacyMetricsFactory(metrics or Metrics())
        self.metrics = TracerMetrics(self.metrics_factory)
        self._counting = not is_silent(self.metrics_factory)
        self.random = _random
        self.debug_id_header = debug_id_header
        self.one_span_per_rpc = one_span_per_rpc
        self.max_tag_value_length = max_tag_value_length
        self.max_traceback_length = max_traceback_length
        self.max_trace_id_bits = (
            constants._max_trace_id_bits if generate_128bit_trace_id else constants._max_id_bits
        )
        self.codecs: dict[str, Any] = {
            Format.TEXT_MAP: TextCodec(
                False, trace_id_header, baggage_header_prefix, debug_id_header
            ),
            Format.HTTP_HEADERS: TextCodec(
                True, trace_id_header, baggage_header_prefix, debug_id_header
            ),
            Format.BINARY: BinaryCodec(),
            ZipkinSpanFormat: ZipkinCodec(),
            **(extra_codecs or {}),
        }
        self._with_traceparent = w3c_wanted()
        self._extract_warned = False
        self.throttler = throttler
        self.tags = process_tags(tags)
        if throttler:
            client_id = random.randint(0, sys.maxsize)
            throttler.set_client_id(client_id)
            self.tags[constants.CLIENT_UUID_TAG_KEY] = client_id
        self.reporter.set_process(
            service_name=service_name, tags=self.tags, max_length=max_tag_value_length
        )

    @property
    def active_span(self) -> Any:
        scope = self._scope_manager.active
        if self._foreign_manager:
            return innermost(scope)
        return None if scope is None else scope._span

    def start_span(
        self,
        operation_name: str | None = None,
        child_of: Any = None,
        references: Any = None,
        tags: Mapping[str, Any] | None = None,
        start_time: float | None = None,
        ignore_active_span: bool = False,
    ) -> Span:
        """Starts a span without activating it.

        The parent is `child_of` (span or context), else the active span, else the first of
        `references`. Times are unix seconds.
        """
        parent = child_of
        if not parent and not ignore_active_span:  # `active_span`, without two calls
            scope = self._scope_manager.active
            if self._foreign_manager:
                parent = innermost(scope)
            else:
                parent = None if scope is None else scope._span
        if type(parent) is Span:
            parent = parent.context
        elif parent is not None and type(parent) is not SpanContext:
            parent = _context_of(parent)
        kept = None
        if references:
            kept = _valid_references(references)
            if kept and (parent is None or not parent.has_trace):
                parent = kept[0].referenced_context
        is_server = False
        if tags:
            tags = dict(tags) if isinstance(tags, Mapping) else {}
            is_server = tags.get("span.kind") == "server"

        if parent is None or not parent.has_trace:
            context, tags = self._root(operation_name, parent, tags)
        elif is_server and self.one_span_per_rpc:  # Zipkin's way: both sides are one span
            context = self._child(parent, parent.span_id, parent.parent_id)
        else:
            context = self._child(parent, _random.getrandbits(64) or 1, parent.span_id)
        span = Span(context, self, operation_name or "", tags, start_time, kept)
        if parent is not None and parent.is_remote:
            span._parent_is_remote = True
        if self._counting:
            self._count_start(span, is_server)
        if context.flags & SAMPLED:
            started = getattr(self.reporter, "span_started", None)
            if started is not None:
                started(span)
        return span

    def start_active_span(
        self,
        operation_name: str | None = None,
        child_of: Any = None,
        references: Any = None,
        tags: Mapping[str, Any] | None = None,
        start_time: float | None = None,
        ignore_active_span: bool = False,
        finish_on_close: bool = True,
    ) -> Any:
        """Starts and activates a span; the scope's close ends both, unless told otherwise."""
        span = self.start_span(
            operation_name, child_of, references, tags, start_time, ignore_active_span
        )
        return self._scope_manager.activate(span, finish_on_close)

    def inject(self, span_context: Any, format: str, carrier: Any) -> None:
        """Writes a span or its context into `carrier`; text formats get `traceparent` as well.

        Raises UnsupportedFormatException for an unknown format and ValueError for what is no
        Jaeger span context; a carrier that cannot be written to is only logged.
        """
        codec = self.codecs.get(format)
        if codec is None:
            raise UnsupportedFormatException(format)
        if type(span_context) is not SpanContext:
            if isinstance(span_context, Span):
                span_context = span_context.context
            if not isinstance(span_context, SpanContext):
                raise ValueError(f"Expecting Jaeger SpanContext, not {type(span_context)}")
        try:
            codec.inject(span_context=span_context, carrier=carrier)
            if self._with_traceparent and format in _TEXT_FORMATS:
                write_traceparent(span_context, carrier)
        except Exception as error:  # noqa: BLE001 - a carrier of the application's
            logger.warning("Span context not injected as %s: %s", format, error)

    def extract(self, format: str, carrier: Any) -> SpanContext | None:
        """The caller's span context, or None where there is none or it is broken (the first
        broken one is logged as a warning, the others as debug).

        Raises UnsupportedFormatException. `traceparent` counts where no legacy header does.
        """
        codec = self.codecs.get(format)
        if codec is None:
            raise UnsupportedFormatException(format)
        try:
            context: SpanContext | None = codec.extract(carrier)
        except Exception as error:  # noqa: BLE001 - a carrier, or what a stranger sent
            self._log_broken(format, error)
            context = None
        if format in _TEXT_FORMATS:
            context = read_traceparent(carrier, context)
        if context is not None:
            context.is_remote = True
        return context

    def close(self) -> Future:
        """Flushes what is buffered. The result can be waited on: `.result()`, `yield` in
        tornado, `await` in asyncio."""
        with contextlib.suppress(NotImplementedError):
            self.sampler.close()
        return self.reporter.close()

    def report_span(self, span: Span) -> None:
        """Hands a finished span to the reporter."""
        try:
            self.reporter.report_span(span)
        except Exception:
            logger.exception("Reporter failed, span lost: %s", span)
        if self._counting:
            self.metrics.spans_finished(1)

    def random_id(self) -> int:
        """Deprecated in jaeger_client."""
        return self._random_id(constants.MAX_ID_BITS)

    def is_debug_allowed(self, *args: Any, **kwargs: Any) -> bool:
        if not self.throttler:
            return True
        return self.throttler.is_allowed(*args, **kwargs)

    def _random_id(self, bitsize: int) -> int:
        return self.random.getrandbits(bitsize) or 1

    def _root(
        self, operation_name: str | None, parent: SpanContext | None, tags: Any
    ) -> tuple[SpanContext, Any]:
        """A new trace; `parent` without a trace carries a debug id or baggage."""
        trace_id = _random.getrandbits(self.max_trace_id_bits) or 1
        flags = 0
        if parent is None or not parent.debug_id:
            # Legacy patches of HTTP clients see the exporter's calls too: each would make one more
            if not get_current().get(_SUPPRESS_INSTRUMENTATION_KEY):
                try:
                    sampled, sampler_tags = self.sampler.is_sampled(trace_id, operation_name or "")
                    if sampled:
                        flags = SAMPLED
                        tags = {**tags, **sampler_tags} if tags else sampler_tags
                except Exception:
                    logger.exception("Sampler failed, trace not sampled")
        elif self.is_debug_allowed(operation_name):
            flags = SAMPLED | DEBUG
            tags = {**(tags or {}), self.debug_id_header: parent.debug_id}
        baggage = dict(parent.baggage) if parent is not None and parent.baggage else None
        span_id = _random.getrandbits(64) or 1
        context = SpanContext(trace_id, span_id, None, flags, baggage)
        return context, tags

    def _child(self, parent: SpanContext, span_id: int, parent_id: int | None) -> SpanContext:
        # the baggage dict is shared: nobody changes one in place
        context = SpanContext(parent.trace_id, span_id, parent_id, parent.flags, parent._baggage)
        if parent.trace_state:
            context.trace_state = parent.trace_state
        return context

    def _log_broken(self, format: str, error: Exception) -> None:
        """A warning once: else any stranger could fill the log."""
        level = logging.DEBUG if self._extract_warned else logging.WARNING
        self._extract_warned = True
        logger.log(level, "No span context extracted as %s: %s", format, text(error, 256))

    def _count_start(self, span: Span, is_server: bool) -> None:
        sampled = span.is_sampled()
        metrics = self.metrics
        (metrics.spans_started_sampled if sampled else metrics.spans_started_not_sampled)(1)
        if not span.context.parent_id:
            kind = "joined" if is_server else "started"
            getattr(metrics, f"traces_{kind}_{'' if sampled else 'not_'}sampled")(1)


class TracerMetrics:
    """The counters of a tracer, under jaeger_client's names."""

    def __init__(self, metrics_factory: MetricsFactory) -> None:
        def counter(name: str, **tags: str) -> Any:
            return metrics_factory.create_counter(name=f"jaeger:{name}", tags=tags or None)

        self.traces_started_sampled = counter("traces", state="started", sampled="y")
        self.traces_started_not_sampled = counter("traces", state="started", sampled="n")
        self.traces_joined_sampled = counter("traces", state="joined", sampled="y")
        self.traces_joined_not_sampled = counter("traces", state="joined", sampled="n")
        self.spans_started_sampled = counter("started_spans", sampled="y")
        self.spans_started_not_sampled = counter("started_spans", sampled="n")
        self.spans_finished = counter("finished_spans")


_TEXT_FORMATS = frozenset((Format.TEXT_MAP, Format.HTTP_HEADERS))


def _context_of(parent: Any) -> SpanContext | None:
    """A parent as the application may name it; None for what has no trace of ours."""
    if isinstance(parent, opentracing.Span):
        parent = parent.context
    if isinstance(parent, SpanContext):
        return parent
    native = parent.get_span_context() if isinstance(parent, trace.Span) else parent
    if isinstance(native, trace.SpanContext) and native.is_valid:
        return SpanContext.from_otel(native, None)
    if not isinstance(parent, opentracing.SpanContext):
        logger.debug("Not a parent: %s", type(parent))
    return None


def _valid_references(references: Any) -> list[Reference]:
    """`references` as a list whose members all name a context of ours."""
    kept = []
    several = isinstance(references, (list, tuple, set)) and not isinstance(references, Reference)
    for reference in references if several else [references]:
        named = getattr(reference, "referenced_context", None)
        context = None if named is None else _context_of(named)
        if context is not None:
            kept.append(Reference(reference.type, context))
    return kept


def process_tags(tags: dict[str, Any] | None) -> dict[str, Any]:
    """The process tags: the client's version, this machine's name and address, and `tags`."""
    every = {constants.JAEGER_VERSION_TAG_KEY: constants.JAEGER_CLIENT_VERSION, **(tags or {})}
    if every.get(constants.JAEGER_IP_TAG_KEY) is None:
        every[constants.JAEGER_IP_TAG_KEY] = local_ip()
    if every.get(constants.JAEGER_HOSTNAME_TAG_KEY) is None:
        try:
            every[constants.JAEGER_HOSTNAME_TAG_KEY] = socket.gethostname()
        except OSError:
            logger.exception("Unable to determine host name")
    return every
