"""Keeps the spans of a sample in memory and prints them as trees, roots in the order they began."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode


def record(service: str) -> InMemorySpanExporter:
    """Makes the tracer provider of a sample: in memory, and to OTLP when an endpoint is set."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return exporter


def show(exporter: InMemorySpanExporter) -> None:
    """Prints every trace recorded so far."""
    trace.get_tracer_provider().force_flush()
    spans = exporter.get_finished_spans()
    names = {span.context.span_id: span.name for span in spans}
    children: dict[int | None, list[ReadableSpan]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: span.start_time):
        parent = span.parent.span_id if span.parent and span.parent.span_id in names else None
        children[parent].append(span)
    for root in children[None]:
        _print(root, "", "", children, names)


@contextmanager
def quiet() -> Iterator[None]:
    """No adapter spans inside: for a loop that waits."""
    token = context.attach(context.set_value("suppress_instrumentation", True))
    try:
        yield
    finally:
        context.detach(token)


def _print(span, lead, below, children, names):
    print(f"{lead}{_line(span, names)}")
    under = children[span.context.span_id]
    for child in under:
        last = child is under[-1]
        _print(
            child,
            below + ("└─ " if last else "├─ "),
            below + ("   " if last else "│  "),
            children,
            names,
        )


def _line(span, names):
    milliseconds = (span.end_time - span.start_time) / 1e6
    status = " ERROR" if span.status.status_code is StatusCode.ERROR else ""
    error = f" {span.attributes['error.type']}" if "error.type" in span.attributes else ""
    links = "".join(f"  <- {names.get(link.context.span_id, '?')}" for link in span.links)
    return f"{span.name}  [{span.kind.name} {milliseconds:.1f} ms{status}{error}]{links}"
