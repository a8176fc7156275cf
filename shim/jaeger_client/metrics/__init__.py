"""The client's own metrics, recorded through whatever factory the application gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Record = Callable[[float], Any]


class MetricsFactory:
    """Records nothing; the base of what records something."""

    def create_counter(self, name: str, tags: dict[str, str] | None = None) -> Record:
        """A function that adds to the counter."""
        return _noop

    def create_timer(self, name: str, tags: dict[str, str] | None = None) -> Record:
        """A function that records microseconds."""
        return _noop

    def create_gauge(self, name: str, tags: dict[str, str] | None = None) -> Record:
        """A function that sets the gauge."""
        return _noop


class LegacyMetricsFactory(MetricsFactory):
    """Records through a `Metrics`: tags become a part of the key, `name.tag_value`."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def create_counter(self, name: str, tags: dict[str, str] | None = None) -> Record:
        key = _key(name, tags)
        return lambda value: self._metrics.count(key, value)

    def create_timer(self, name: str, tags: dict[str, str] | None = None) -> Record:
        key = _key(name, tags)
        return lambda value: self._metrics.timing(key, value / 1000.0)

    def create_gauge(self, name: str, tags: dict[str, str] | None = None) -> Record:
        key = _key(name, tags)
        return lambda value: self._metrics.gauge(key, value)


class Metrics:
    """Three functions of key and value, timings in milliseconds; each may be missing."""

    def __init__(self, count: Any = None, gauge: Any = None, timing: Any = None) -> None:
        self.silent = not any(map(callable, (count, gauge, timing)))
        self._count = count if callable(count) else _noop
        self._gauge = gauge if callable(gauge) else _noop
        self._timing = timing if callable(timing) else _noop

    def count(self, key: str, value: float) -> None:
        self._count(key, value)

    def timing(self, key: str, value: float) -> None:
        self._timing(key, value)

    def gauge(self, key: str, value: float) -> None:
        self._gauge(key, value)


def is_silent(factory: MetricsFactory) -> bool:
    """Whether nothing given to this factory's functions goes anywhere."""
    if type(factory) is LegacyMetricsFactory:
        return getattr(factory._metrics, "silent", False)
    return type(factory) is MetricsFactory


def _key(name: str, tags: dict[str, str] | None) -> str:
    return ".".join([name, *(f"{tag}_{value}" for tag, value in sorted((tags or {}).items()))])


def _noop(*_: Any) -> None:
    pass
