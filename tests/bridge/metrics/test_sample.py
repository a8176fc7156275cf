"""The sample runs as its README says, and both sides of it show the same numbers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as parse_text

from bridge.otlp.receiver import OtlpReceiver
from tests.legacy import needs_jaeger_client

SAMPLE = Path(__file__).parents[3] / "samples" / "metrics"
NAMES = ("shop_orders_total", "shop_order_seconds_count", "shop_stock")


def run(side: str, **env: str) -> str:
    result = subprocess.run(
        [sys.executable, str(SAMPLE / side / "main.py")],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **env},
    )
    assert result.returncode == 0, result.stderr
    return (
        result.stdout[: result.stdout.rindex("\n\n") + 1]
        if side == "before"
        else (result.stdout[: result.stdout.index("# EOF") + 6])
    )


def samples(families) -> dict[tuple[str, str], float]:
    return {
        (s.name, s.labels.get("kind", "")): s.value
        for family in families
        for s in family.samples
        if s.name in NAMES
    }


@needs_jaeger_client
def test_before_and_after_show_the_same_and_after_names_the_traces():
    before = samples(parse_text(run("before")))
    with OtlpReceiver() as receiver:
        text = run("after", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.grpc_endpoint)
        traces = {span.trace_id.hex() for span in receiver.spans}
        pushed = {
            metric.name: metric
            for resource in receiver.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }
    assert before == samples(text_string_to_metric_families(text))
    assert before[("shop_orders_total", "tea")] == 2
    exemplars = [
        s.exemplar.labels["trace_id"]
        for family in text_string_to_metric_families(text)
        for s in family.samples
        if s.exemplar
    ]
    assert len(exemplars) >= 4
    assert set(exemplars) <= traces
    orders = {
        p.attributes[0].value.string_value: p for p in pushed["shop_orders_total"].sum.data_points
    }
    assert (orders["tea"].as_double, orders["cake"].as_double) == (2, 1)
    assert all(p.exemplars[0].trace_id.hex() in traces for p in orders.values())
    assert pushed["shop.sent"].sum.data_points[0].as_int == len("teateacake")
    assert pushed["shop_order_seconds"].histogram.data_points[0].count == 3
