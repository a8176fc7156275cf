"""What jaeger_client counted about itself, and where to find that after the migration.

Every name that `PrometheusMetricsFactory` registers (jaeger-client 4.8: tracer.py, reporter.py,
sampler.py, throttler.py), as a scrape shows it, and the OpenTelemetry SDK's metric that counts
the same thing (with `OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED=true`).
"""

from __future__ import annotations

from typing import NamedTuple


class Replacement(NamedTuple):
    """One series of jaeger_client. `successor` is empty where nothing counts it any more."""

    name: str  # as a scrape shows it, without the factory's namespace
    labels: dict[str, str]
    successor: str
    selector: dict[str, str]
    note: str = ""


STARTED, PROCESSED = "otel.sdk.span.started", "otel.sdk.processor.span.processed"
EXPORTED, QUEUE = "otel.sdk.exporter.span.exported", "otel.sdk.processor.span.queue.size"
RESULT, ORIGIN = "otel.span.sampling_result", "otel.span.parent.origin"

REPLACEMENTS: tuple[Replacement, ...] = (
    Replacement(
        "jaeger:traces_total",
        {"state": "started", "sampled": "y"},
        STARTED,
        {ORIGIN: "none", RESULT: "RECORD_AND_SAMPLE"},
    ),
    Replacement(
        "jaeger:traces_total",
        {"state": "started", "sampled": "n"},
        STARTED,
        {ORIGIN: "none", RESULT: "DROP"},
    ),
    Replacement(
        "jaeger:traces_total",
        {"state": "joined", "sampled": "y"},
        STARTED,
        {ORIGIN: "remote", RESULT: "RECORD_AND_SAMPLE"},
    ),
    Replacement(
        "jaeger:traces_total",
        {"state": "joined", "sampled": "n"},
        STARTED,
        {ORIGIN: "remote", RESULT: "DROP"},
    ),
    Replacement(
        "jaeger:started_spans_total", {"sampled": "y"}, STARTED, {RESULT: "RECORD_AND_SAMPLE"}
    ),
    Replacement("jaeger:started_spans_total", {"sampled": "n"}, STARTED, {RESULT: "DROP"}),
    Replacement(
        "jaeger:finished_spans_total",
        {},
        STARTED,
        {},
        "less otel.sdk.span.live: the spans started that are no longer live",
    ),
    Replacement(
        "jaeger:reporter_spans_total",
        {"result": "ok"},
        EXPORTED,
        {},
        "without the attribute error.type",
    ),
    Replacement(
        "jaeger:reporter_spans_total",
        {"result": "err"},
        EXPORTED,
        {},
        "with the attribute error.type",
    ),
    Replacement(
        "jaeger:reporter_spans_total",
        {"result": "dropped"},
        PROCESSED,
        {"error.type": "queue_full"},
        "the batch processor drops the oldest span, jaeger_client dropped the newest",
    ),
    Replacement("jaeger:reporter_queue_length", {}, QUEUE, {}),
    Replacement(
        "jaeger:sampler_queries_total",
        {"result": "ok"},
        "",
        {},
        "the shim's remote sampler logs what it cannot fetch",
    ),
    Replacement("jaeger:sampler_queries_total", {"result": "err"}, "", {}, "as above"),
    Replacement("jaeger:sampler_updates_total", {"result": "ok"}, "", {}, "as above"),
    Replacement("jaeger:sampler_updates_total", {"result": "err"}, "", {}, "as above"),
    Replacement(
        "jaeger:throttled_debug_spans_total", {}, "", {}, "nothing throttles debug spans any more"
    ),
    Replacement("jaeger:throttler_update_total", {"result": "ok"}, "", {}, "as above"),
    Replacement("jaeger:throttler_update_total", {"result": "err"}, "", {}, "as above"),
)
