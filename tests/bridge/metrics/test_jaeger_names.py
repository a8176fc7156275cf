"""The table of jaeger_client's own metrics against jaeger_client and the SDK themselves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from bridge.metrics.jaeger_names import REPLACEMENTS

LEGACY = """
import json
from jaeger_client.metrics.prometheus import PrometheusMetricsFactory
from jaeger_client.reporter import ReporterMetrics
from jaeger_client.sampler import SamplerMetrics
from jaeger_client.throttler import ThrottlerMetrics
from jaeger_client.tracer import TracerMetrics
from prometheus_client import REGISTRY
for group in (TracerMetrics, ReporterMetrics, SamplerMetrics, ThrottlerMetrics):
    group(PrometheusMetricsFactory())
print(json.dumps([
    (s.name, s.labels) for f in REGISTRY.collect() if f.name.startswith("jaeger:")
    for s in f.samples if not s.name.endswith("_created")
]))
"""

TODAY = """
import json, time
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry import metrics
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
remote = trace.set_span_in_context(trace.NonRecordingSpan(
    trace.SpanContext(1, 2, True, trace.TraceFlags(1))))
for sampler in (ALWAYS_ON, ALWAYS_OFF):
    provider = TracerProvider(sampler=sampler)
    processor = BatchSpanProcessor(
        OTLPSpanExporter(endpoint="http://127.0.0.1:1/v1/traces", timeout=1),
        max_queue_size=4, max_export_batch_size=4, schedule_delay_millis=100000)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("t")
    for _ in range(50):
        tracer.start_span("root").end()
    tracer.start_span("joined", context=remote).end()
    provider.force_flush(1000)
points = [(m.name, dict(p.attributes)) for r in reader.get_metrics_data().resource_metrics
          for s in r.scope_metrics for m in s.metrics for p in m.data.data_points]
print(json.dumps(points))
"""


def run(program: str, **env: str) -> list:
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **env},
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[0])


def test_the_table_has_exactly_jaeger_clients_series():
    found = {(name, *sorted(labels.items())) for name, labels in map(tuple, run(LEGACY))}
    assert found == {(r.name, *sorted(r.labels.items())) for r in REPLACEMENTS}


def test_every_successor_is_counted_by_the_sdk_under_the_attributes_given():
    points = run(TODAY, OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED="true")
    for row in REPLACEMENTS:
        if row.successor:
            assert any(
                name == row.successor and row.selector.items() <= attributes.items()
                for name, attributes in points
            ), row


def test_the_documentation_has_every_row():
    text = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text("utf-8")
    for row in REPLACEMENTS:
        assert f"`{row.name}" in text
        assert f"`{row.successor}" in text if row.successor else True
