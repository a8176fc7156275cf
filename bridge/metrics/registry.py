"""Collecting a prometheus_client registry when some of its collectors fail, block or talk rubbish.

`CollectorRegistry.collect()` stops at the first exception and waits for ever. Here every
collector is asked for itself: one that raises loses only its own families, and code that is not
an instrument of prometheus_client runs in a thread that can be left behind.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from prometheus_client import Counter, Enum, Histogram, Info, Summary
from prometheus_client.metrics_core import Metric as Family

from bridge.metrics.problems import Problems

COLLECT_SECONDS = 5.0
FAILED, BLOCKED, LOOP = "collector failed", "collector blocked", "loop refused"
# A gauge may call a function of the application; these only read their own values.
PLAIN_INSTRUMENTS = frozenset({Counter, Histogram, Summary, Info, Enum})
UPSTREAM_READER = "opentelemetry.exporter.prometheus"

collecting: contextvars.ContextVar[bool] = contextvars.ContextVar("collecting", default=False)


class LoopError(ValueError):
    """A registry already holds what the bridge would feed into it, or feed from it."""


def carries_opentelemetry(collector: object) -> bool:
    """Whether a collector shows OpenTelemetry metrics: this bridge's, or the upstream reader's."""
    if getattr(type(collector), "carries_opentelemetry", False):
        return True
    return type(collector).__module__.split("._")[0] == UPSTREAM_READER


def refuse_loop(registry: Any) -> None:
    """Raises `LoopError` when `registry` shows OpenTelemetry metrics already.

    Pushing it beside the SDK's own metrics would double every number, and an SDK that collects
    such a registry waits for its own lock.
    """
    for collector in collectors_of(registry) or ():
        if carries_opentelemetry(collector):
            raise LoopError(
                f"the Prometheus registry holds a {type(collector).__name__} that shows "
                "OpenTelemetry metrics: everything in it would be sent twice. Remove that reader "
                "(PrometheusMetricReader, or OpenTelemetryCollector) from the registry: the "
                "bridge shows OpenTelemetry metrics on its own endpoint."
            )


def collectors_of(registry: Any) -> list[Any] | None:
    """The collectors of a registry; None when its inside is not as we know it."""
    known, lock = getattr(registry, "_collector_to_names", None), getattr(registry, "_lock", None)
    if not isinstance(known, dict) or lock is None:
        return None
    with lock:
        return list(known)


class SafeRegistry:
    """A registry whose `collect` neither raises nor waits longer than it was told."""

    def __init__(
        self, registry: Any, problems: Problems, collect_seconds: float = COLLECT_SECONDS
    ) -> None:
        self.registry = registry
        self._problems = problems
        self._seconds = collect_seconds
        self._stuck: dict[int, Any] = {}

    def collect(self, skip: Callable[[Any], bool] = lambda _: False) -> Iterator[Family]:
        """The families, without those of collectors that `skip` says someone else reads."""
        collectors = collectors_of(self.registry)
        if collectors is None:
            yield from self._whole()
            return
        info = self.registry.get_target_info()
        if info:
            yield _target_family(info)
        foreign = []
        for collector in collectors:
            if skip(collector):
                continue
            if carries_opentelemetry(collector):
                self._problems.report(LOOP, type(collector).__name__, "left out")
            elif type(collector) in PLAIN_INSTRUMENTS:
                yield from self.ask(collector)
            else:
                foreign.append(collector)
        yield from self._ask_guarded(foreign)

    def after_fork(self) -> None:
        self._stuck.clear()

    def _whole(self) -> Iterator[Family]:
        """All at once, up to the first failure: what a registry of another make allows."""
        try:
            for family in self.registry.collect():
                if self._is_family(family, self.registry):
                    yield family
        except Exception as error:  # noqa: BLE001 - any collector may raise anything
            self._problems.report(FAILED, type(self.registry).__name__, _what(error))

    def ask(self, collector: Any) -> list[Family]:
        """The families of one collector; none when it fails."""
        token = collecting.set(True)
        try:
            return [f for f in collector.collect() if self._is_family(f, collector)]
        except Exception as error:  # noqa: BLE001
            self._problems.report(FAILED, _name(collector), _what(error))
            return []
        finally:
            collecting.reset(token)

    def _is_family(self, family: Any, collector: Any) -> bool:
        if isinstance(family, Family) and isinstance(family.samples, list):
            return True
        self._problems.report(FAILED, _name(collector), f"gave a {type(family).__name__}")
        return False

    def _ask_guarded(self, collectors: Sequence[Any]) -> Iterator[Family]:
        left = [c for c in collectors if not self._is_stuck(c)]
        while left:
            worker = _Worker(left, self.ask)
            worker.run(self._seconds)
            yield from worker.families
            left = left[worker.done :]
            if left:
                blocked = left.pop(0)
                self._stuck[id(blocked)] = worker
                self._problems.report(BLOCKED, _name(blocked), f"for {self._seconds} s")

    def _is_stuck(self, collector: Any) -> bool:
        worker = self._stuck.get(id(collector))
        if worker is None:
            return False
        if worker.thread.is_alive():
            self._problems.report(BLOCKED, _name(collector))
            return True
        del self._stuck[id(collector)]
        return False


class _Worker:
    """Asks collectors in a thread, one after the other, until one takes too long."""

    def __init__(self, collectors: Sequence[Any], ask: Callable[[Any], Iterable[Family]]) -> None:
        self.families: list[Family] = []
        self.done = 0
        self._collectors, self._ask = collectors, ask
        self._changed = threading.Condition()
        self._left_behind = False
        context = contextvars.copy_context()
        self.thread = threading.Thread(
            target=context.run, args=(self._work,), name="metrics-collect", daemon=True
        )

    def run(self, seconds: float) -> None:
        """Returns when all are done, or one of them has taken `seconds`."""
        self.thread.start()
        total, before = len(self._collectors), -1
        with self._changed:
            while self.done < total and self.done != before:
                before, deadline = self.done, time.monotonic() + seconds
                while self.done == before and (left := deadline - time.monotonic()) > 0:
                    self._changed.wait(left)
            self._left_behind = True

    def _work(self) -> None:
        for collector in self._collectors:
            families = self._ask(collector)
            with self._changed:
                if self._left_behind:
                    return
                self.families.extend(families)
                self.done += 1
                self._changed.notify_all()


def _target_family(labels: dict[str, str]) -> Family:
    family = Family("target", "Target metadata", "info")
    family.add_sample("target_info", labels, 1)
    return family


def _name(collector: Any) -> str:
    return str(getattr(collector, "_name", None) or type(collector).__name__)


def _what(error: Exception) -> str:
    """The error's type only: its text may quote what the application holds."""
    return type(error).__name__
