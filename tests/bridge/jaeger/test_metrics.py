"""The agent's own metrics as a scraper sees them."""

from __future__ import annotations

from typing import Any

import prometheus_client.openmetrics.parser
import prometheus_client.parser
import pytest

from tests.bridge.jaeger import packets
from tests.bridge.jaeger.running import ONE, Start, metric, post, request


def test_metrics_are_prometheus_text_or_openmetrics(start: Start) -> None:
    agent = start()
    assert (
        b"# TYPE jaeger2otlp_agent_queue_spans gauge"
        in request(agent, "admin", "GET", "/metrics")[1]
    )
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    assert request(agent, "admin", "GET", "/metrics", **accept)[1].endswith(b"# EOF\n")


@pytest.mark.parametrize(
    ("accept", "parse"),
    [
        ("text/plain", prometheus_client.parser.text_string_to_metric_families),
        (
            "application/openmetrics-text; version=1.0.0",
            prometheus_client.openmetrics.parser.text_string_to_metric_families,
        ),
    ],
)
def test_a_strict_reader_understands_the_metrics(start: Start, accept: str, parse: Any) -> None:
    agent = start()
    post(agent, packets.body(ONE))
    post(agent, b"bad")
    text = request(agent, "admin", "GET", "/metrics", Accept=accept)[1].decode()
    families = list(parse(text))
    assert len(families) > 15
    assert all(family.documentation for family in families)


def test_an_odd_accept_header_gets_the_plain_text(start: Start) -> None:
    accept = {"Accept": "application/openmetrics-text; version=x"}
    status, body = request(start(), "admin", "GET", "/metrics", **accept)
    assert status == 200
    assert body.startswith(b"# HELP")


def test_the_receive_buffer_and_kernel_drops_are_told(start: Start) -> None:
    agent = start()
    assert metric(agent, "receive_buffer_bytes", way="compact") >= 100_000
    assert metric(agent, "kernel_dropped_packets_total", way="compact") == 0
