"""Exemplars without asking: prometheus_client's counters and histograms note the current span.

Costs next to nothing. After an exemplar a series rests for `REST_SECONDS` (the interval that
Prometheus' Java client uses), and only the ids are kept; their text is made when someone looks.
`inc` and `observe` themselves are written anew, with the same effect and fewer calls, so a
counter with exemplars is about as fast as one without. Where prometheus_client's own are no
longer what was copied, its public `exemplar=` argument is used instead.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client import values as library_values
from prometheus_client.values import MutexValue

from bridge.metrics.current_span import SpanIds, current_span
from bridge.metrics.problems import logger

REST_SECONDS = 0.09
# After a look that found no sampled span. Short, so that rare sampled requests are not missed
# behind the many others.
MISS_SECONDS = 0.001

_monotonic = time.monotonic
_lock = threading.Lock()
_installed: _Settings | None = None


class _Settings:
    def __init__(self, only_sampled: bool, trace_label: str, span_label: str) -> None:
        self.only_sampled, self.trace_label, self.span_label = only_sampled, trace_label, span_label


class LazyExemplar:
    """Stands for a prometheus_client `Exemplar`; its labels become text when first read."""

    __slots__ = ("_labels", "_settings", "_span", "timestamp", "value")

    def __init__(self, span: SpanIds, value: float, settings: _Settings) -> None:
        self.value, self.timestamp = value, time.time()
        self._span, self._settings = span, settings
        self._labels: dict[str, str] | None = None

    @property
    def labels(self) -> dict[str, str]:
        if self._labels is None:
            self._labels = _labels(self._span, self._settings)
        return self._labels

    @property
    def ids(self) -> tuple[bytes, bytes]:
        """Trace and span id as OTLP has them."""
        span = self._span
        return span.trace_id.to_bytes(16, "big"), span.span_id.to_bytes(8, "big")


def _labels(span: SpanIds, settings: _Settings) -> dict[str, str]:
    return {
        settings.trace_label: f"{span.trace_id:032x}",
        settings.span_label: f"{span.span_id:016x}",
    }


def install_exemplars(
    *, only_sampled: bool = True, trace_label: str = "trace_id", span_label: str = "span_id"
) -> bool:
    """Turns exemplars on for every `Counter.inc` and `Histogram.observe` of this process.

    `only_sampled` leaves out spans that no backend will have. `trace_label="traceID"` is what
    older Grafana set-ups look for. Returns False, and does nothing, in multiprocess mode, where
    prometheus_client cannot keep exemplars. A second call changes the settings.
    """
    global _installed
    if library_values.ValueClass is not MutexValue:
        logger.warning("metrics: no exemplars: prometheus_client has none in multiprocess mode")
        return False
    if len(trace_label) + len(span_label) > 80:
        raise ValueError("label names that leave no room for the ids in 128 characters")
    with _lock:
        if _installed is not None:
            _restore()
        _installed = _Settings(only_sampled, trace_label, span_label)
        _patch(_installed)
    return True


def uninstall_exemplars() -> None:
    """Puts prometheus_client's own methods back."""
    global _installed
    with _lock:
        if _installed is not None:
            _restore()
            _installed = None


_original_inc: Callable[..., None] = Counter.inc
_original_observe: Callable[..., None] = Histogram.observe


def _patch(settings: _Settings) -> None:
    fast = copied_methods_fit()
    # The time from which the next look at the span may be; children have their own.
    Counter._exemplar_due = 0.0  # type: ignore[attr-defined]
    Histogram._exemplar_due = 0.0  # type: ignore[attr-defined]
    inc = _fast_inc(settings) if fast else _public_inc(settings)
    observe = _fast_observe(settings) if fast else _public_observe(settings)
    Counter.inc, Histogram.observe = inc, observe  # type: ignore[method-assign]


def _restore() -> None:
    Counter.inc, Histogram.observe = _original_inc, _original_observe  # type: ignore[method-assign]


def _look(child: Any, now: float, settings: _Settings) -> SpanIds | None:
    """The span to note for this measurement; sets when the next look may be."""
    span = current_span()
    if span is None or (settings.only_sampled and not span.sampled):
        child._exemplar_due = now + MISS_SECONDS
        return None
    child._exemplar_due = now + REST_SECONDS
    return span


def _fast_inc(settings: _Settings) -> Callable[..., None]:
    original, look, monotonic = _original_inc, _look, _monotonic

    def inc(self: Any, amount: float = 1, exemplar: dict[str, str] | None = None) -> None:
        """Increment counter by the given amount."""
        # Without `_value` this is a parent that was not asked for its child: the error is theirs.
        holder = self.__dict__.get("_value")
        if exemplar or amount < 0 or type(holder) is not MutexValue:
            original(self, amount, exemplar)
            return
        with holder._lock:
            holder._value += amount
        now = monotonic()
        if now >= self._exemplar_due and (span := look(self, now, settings)):
            holder._exemplar = LazyExemplar(span, amount, settings)

    return inc


def _fast_observe(settings: _Settings) -> Callable[..., None]:
    original, look, monotonic = _original_observe, _look, _monotonic

    def observe(self: Any, amount: float, exemplar: dict[str, str] | None = None) -> None:
        """Observe the given amount."""
        total = self.__dict__.get("_sum")
        if exemplar or type(total) is not MutexValue or amount != amount:
            original(self, amount, exemplar)
            return
        with total._lock:
            total._value += amount
        bucket = self._buckets[bisect_left(self._upper_bounds, amount)]
        with bucket._lock:
            bucket._value += 1
        now = monotonic()
        if now >= self._exemplar_due and (span := look(self, now, settings)):
            bucket._exemplar = LazyExemplar(span, amount, settings)

    return observe


def _public_inc(settings: _Settings) -> Callable[..., None]:
    def inc(self: Any, amount: float = 1, exemplar: dict[str, str] | None = None) -> None:
        _original_inc(self, amount, exemplar or _due_labels(self, settings))

    return inc


def _public_observe(settings: _Settings) -> Callable[..., None]:
    def observe(self: Any, amount: float, exemplar: dict[str, str] | None = None) -> None:
        _original_observe(self, amount, exemplar or _due_labels(self, settings))

    return observe


def _due_labels(child: Any, settings: _Settings) -> dict[str, str] | None:
    now = _monotonic()
    if now < child._exemplar_due:
        return None
    span = _look(child, now, settings)
    return _labels(span, settings) if span else None


@lru_cache(maxsize=1)
def copied_methods_fit() -> bool:
    """Whether our `inc` and `observe` leave the same samples as prometheus_client's own."""
    settings = _Settings(True, "trace_id", "span_id")
    try:
        ours = _trial(_fast_inc(settings), _fast_observe(settings))
        return ours == _trial(_original_inc, _original_observe)
    except Exception:  # noqa: BLE001 - a changed inside may fail in any way
        return False


class _TrialCounter(Counter):
    _exemplar_due = float("inf")


class _TrialHistogram(Histogram):
    _exemplar_due = float("inf")


def _trial(inc: Callable[..., None], observe: Callable[..., None]) -> list[Any]:
    registry = CollectorRegistry()
    counter = _TrialCounter("probe_jobs", "", ["a"], registry=registry)
    histogram = _TrialHistogram("probe_seconds", "", ["a"], registry=registry, buckets=(0, 1, 5))
    for amount in (1, 0, 2.5, 1e300):
        inc(counter.labels("x"), amount)
    inc(counter.labels("y"), 1, {"k": "v"})
    for amount in (-1, 0, 0.5, 1, 5, 6, 1e300, float("inf"), float("nan")):
        observe(histogram.labels("x"), amount)
    observe(histogram.labels("y"), 3, {"k": "v"})
    refused = [_raised(inc, counter, 1), _raised(inc, counter.labels("x"), -1)]
    refused.append(_raised(observe, histogram, 1))
    samples = [
        (s.name, s.labels, repr(s.value), s.exemplar and (s.exemplar.labels, s.exemplar.value))
        for family in registry.collect()
        for s in family.samples
        if not s.name.endswith("_created")
    ]
    return [*samples, *refused]


def _raised(call: Callable[..., None], *args: Any) -> str:
    try:
        call(*args)
    except ValueError as error:
        return str(error)
    return ""
