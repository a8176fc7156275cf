"""What watches a test from outside: telemetry recorded in memory, secrets that leak, leftovers."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import secrets
import threading
import time
import traceback
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

    def everything(self) -> str:
        """All that left the process, as one text to search."""
        data = self._reader.get_metrics_data()
        return "\n".join(
            [*(s.to_json() for s in self.spans()), data.to_json() if data else "", *self.log.lines]
        )

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


class Canaries:
    """Random secrets to use in a test, and the search for them wherever they must not be."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._secrets: dict[str, str] = {}
        self._errors: list[str] = []

    def make(self, what: str) -> str:
        """A new secret: a word nobody else would write."""
        return self.watch(what, "canary" + secrets.token_hex(12))

    def watch(self, what: str, secret: str) -> str:
        """Takes a secret that somebody else made: a session id, a lease."""
        assert len(secret) >= 8, f"{what} is too short to search for"
        self._secrets[secret] = what
        return secret

    def error(self, error: BaseException) -> None:
        """Takes an exception that reached the application: its text, cause, context, traceback."""
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        chained = (error.__cause__, error.__context__)
        self._errors.append("\n".join([text, repr(error), repr(error.args), *map(repr, chained)]))

    def check(self) -> None:
        """Fails with the names of the secrets that leaked, and where."""
        places = {"telemetry": self._telemetry.everything(), "errors": "\n".join(self._errors)}
        leaks = [
            f"{what} in {place}"
            for place, text in places.items()
            for secret, what in self._secrets.items()
            if secret in text or json.dumps(secret)[1:-1] in text
        ]
        assert not leaks, leaks


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
