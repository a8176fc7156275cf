"""The agent's own metrics, read from its counters when somebody asks (prometheus_client)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from bridge.jaeger.agent import Agent

PREFIX = "jaeger2otlp_agent_"


class AgentCollector(Collector):
    """Turns the counters of an agent into metric families. The hot path only adds integers."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def describe(self) -> Iterable[Metric]:
        """No names ahead of time: registering must not read a half-built agent."""
        return []

    def collect(self) -> Iterable[Metric]:
        counts, sent = self._agent.intake.counts, self._agent.exporter.sent
        queue = self._agent.queue
        yield _by_way("received_batches", "Batches decoded, by way in.", counts.batches)
        yield _by_way("received_bytes", "Bytes of packets and bodies, good or bad.", counts.bytes)
        yield _by_way("received_spans", "Spans decoded, by way in.", counts.spans)
        yield _counter("translated_spans", "Spans translated to OTLP.", counts.translated)
        yield _refused("Packets and requests not used, by reason.", counts.refused_batches.copy())
        yield _counter("refused_spans", "Spans with an id of zero.", counts.invalid_spans)
        yield _counter("dropped_spans", "Spans dropped: the queue was full.", counts.dropped)
        yield from self._udp()
        yield _counter("exported_spans", "Spans the endpoint accepted.", sent.exported)
        yield _counter("export_requests", "OTLP requests that ended, well or not.", sent.requests)
        yield _by("failed_spans", "Spans lost at the export.", "reason", sent.failed)
        yield GaugeMetricFamily(
            f"{PREFIX}export_failing",
            "1 while the endpoint fails.",
            float(self._agent.exporter.failing_since is not None),
        )
        yield GaugeMetricFamily(f"{PREFIX}queue_spans", "Spans that wait.", queue.spans)
        yield GaugeMetricFamily(f"{PREFIX}queue_bytes", "Bytes that wait.", queue.bytes)
        yield GaugeMetricFamily(f"{PREFIX}queue_max_bytes", "Room of the queue.", queue.max_bytes)
        yield _counter(
            "strategy_reload_failures",
            "Changed strategies files that were refused.",
            self._agent.strategies.reload_failures,
        )
        yield from self._inventory()  # fmt: skip

    def _udp(self) -> Iterable[Metric]:
        udp = self._agent.udp
        yield _by_way("kernel_dropped_packets", "Lost as a socket's buffer was full.", udp.drops())
        yield _counter("backlog_dropped_packets", "Lost as decoding fell behind.", udp.overflowed)
        buffers = GaugeMetricFamily(
            f"{PREFIX}receive_buffer_bytes", "Granted by the kernel.", labels=["way"]
        )
        for port in udp.ports:
            buffers.add_metric([port.way], port.buffer_bytes)
        yield buffers

    def _inventory(self) -> Iterable[Metric]:
        labels = ["service", "client", "host", "transport"]
        spans = CounterMetricFamily(
            f"{PREFIX}legacy_spans", "Spans by who still sends them.", labels=labels
        )
        first = GaugeMetricFamily(
            f"{PREFIX}legacy_first_seen_seconds", "First batch, since the epoch.", labels=labels
        )
        last = GaugeMetricFamily(
            f"{PREFIX}legacy_last_seen_seconds", "Last batch, since the epoch.", labels=labels
        )
        for sender, seen in self._agent.inventory.senders():
            spans.add_metric(sender, seen.spans)
            first.add_metric(sender, seen.first_seen)
            last.add_metric(sender, seen.last_seen)
        yield from (spans, first, last)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(PREFIX + name, text, value)


def _by_way(name: str, text: str, values: Mapping[str, int]) -> Metric:
    return _by(name, text, "way", values)


def _by(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(PREFIX + name, text, labels=[label])
    for key, value in sorted(dict(values).items()):
        family.add_metric([key], value)
    return family


def _refused(text: str, values: Mapping[tuple[str, str], int]) -> Metric:
    family = CounterMetricFamily(f"{PREFIX}refused", text, labels=["way", "reason"])
    for labels, value in sorted(values.items()):
        family.add_metric(labels, value)
    return family
