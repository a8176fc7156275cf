"""What watches a test from outside: telemetry recorded in memory, leftovers."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer


class Telemetry:
    """Tracer and meter providers whose output stays in memory, and every log record."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._reader = InMemoryMetricReader()
        self.meter_provider = MeterProvider([self._reader])
        self.log = _Log()
        logging.getLogger().addHandler(self.log)
        self._level = logging.getLogger().level
        logging.getLogger().setLevel(logging.DEBUG)

    @property
    def tracer(self) -> Tracer:
        return self.tracer_provider.get_tracer("test")

    def spans(self, name: str = "") -> list[ReadableSpan]:
        """Finished spans in the order they ended; those called `name` when given."""
        return [s for s in self._exporter.get_finished_spans() if name in ("", s.name)]

    def span(self, name: str) -> ReadableSpan:
        """The one span of that name."""
        found = self.spans(name)
        assert len(found) == 1, f"{name!r}: {[s.name for s in self.spans()]}"
        return found[0]

    def clear(self) -> None:
        self._exporter.clear()

    def metric(self, name: str) -> dict[tuple[tuple[str, object], ...], float]:
        """Value (of a histogram: its count) by sorted labels."""
        data = self._reader.get_metrics_data()
        return {
            tuple(sorted((point.attributes or {}).items())): getattr(
                point, "value", getattr(point, "count", 0)
            )
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        }

    def everything(self) -> dict[str, str]:
        """All that left the process, by what it is: texts to search."""
        data = self._reader.get_metrics_data()
        return {
            "spans": "\n".join(span.to_json() for span in self.spans()),
            "metrics": data.to_json(indent=1) if data else "",
            "logs": "\n".join(self.log.lines),
        }

    def close(self) -> None:
        logging.getLogger().removeHandler(self.log)
        logging.getLogger().setLevel(self._level)
        self.tracer_provider.shutdown()
        self.meter_provider.shutdown()


class _Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        # Transport libraries log urls at DEBUG; switching that on is the user's own choice.
        if record.name.startswith("bridge") or record.levelno >= logging.INFO:
            self.lines.append(self.format(record))


@contextmanager
def no_leftovers(seconds: float = 3.0) -> Iterator[None]:
    """Fails when threads, sockets or asyncio tasks are left that were not there before."""
    gc.collect()
    before = _leftovers()
    yield
    deadline = time.monotonic() + seconds
    while (more := _more(before)) and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.05)
    assert not more, more


def _more(before: dict[str, set[object]]) -> dict[str, set[object]]:
    now = _leftovers()
    return {kind: now[kind] - before[kind] for kind in now if now[kind] - before[kind]}


def _leftovers() -> dict[str, set[object]]:
    try:
        tasks: set[object] = set(asyncio.all_tasks())
    except RuntimeError:  # no loop runs here
        tasks = set()
    return {"threads": set(threading.enumerate()), "sockets": _sockets(), "tasks": tasks}


def _sockets() -> set[object]:
    folder = "/proc/self/fd"
    found: set[object] = set()
    for fd in os.listdir(folder) if os.path.isdir(folder) else []:
        try:
            target = os.readlink(f"{folder}/{fd}")
        except OSError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found
