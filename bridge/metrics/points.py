"""OTLP metric points as plain data: what every way in makes, and every way out takes.

The SDK's own dataclasses cannot hold a summary, `prometheus.type` metadata, a "no recorded value"
flag or a zero threshold; these can. Times are Unix nanoseconds, 0 = unset.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

AttributeValue: TypeAlias = (
    str | bool | int | float | Sequence[str] | Sequence[bool] | Sequence[int] | Sequence[float]
)
Attributes: TypeAlias = tuple[tuple[str, AttributeValue], ...]


def as_float(value: Any) -> float:
    """`float(value)`; an integer beyond every float is infinite, as `float("1e400")` is."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


class Kind(Enum):
    """OTLP data types; the value is the field number in `Metric`."""

    GAUGE = 5
    SUM = 7
    HISTOGRAM = 9
    EXPONENTIAL = 10
    SUMMARY = 11


@dataclass(slots=True)
class Exemplar:
    value: float
    time_unix_nano: int
    trace_id: bytes = b""  # 16 bytes or none
    span_id: bytes = b""  # 8 bytes or none
    attributes: Attributes = ()


class NumberPoint(NamedTuple):
    """There are many of these: a tuple is made in half the time of an object with slots."""

    attributes: Attributes
    start: int
    time: int
    value: float
    exemplars: Sequence[Exemplar] = ()


@dataclass(slots=True)
class HistogramPoint:
    """`counts` are per bucket (not cumulative) and one more than `bounds`."""

    attributes: Attributes
    start: int
    time: int
    count: int
    sum: float | None
    bounds: Sequence[float]
    counts: Sequence[int]
    exemplars: Sequence[Exemplar] = ()
    min: float | None = None
    max: float | None = None


@dataclass(slots=True)
class ExponentialPoint:
    """`positive` and `negative` are (offset of the first bucket, counts)."""

    attributes: Attributes
    start: int
    time: int
    count: int
    sum: float | None
    scale: int
    zero_count: int
    zero_threshold: float
    positive: tuple[int, Sequence[int]]
    negative: tuple[int, Sequence[int]]
    exemplars: Sequence[Exemplar] = ()
    min: float | None = None
    max: float | None = None


@dataclass(slots=True)
class SummaryPoint:
    attributes: Attributes
    start: int
    time: int
    count: int
    sum: float
    quantiles: Sequence[tuple[float, float]] = ()


@dataclass(slots=True)
class StalePoint:
    """The end of a series: OTLP's "no recorded value" flag, for a point of the metric's kind."""

    attributes: Attributes
    time: int


Point: TypeAlias = NumberPoint | HistogramPoint | ExponentialPoint | SummaryPoint | StalePoint


@dataclass(frozen=True)
class Scope:
    """An instrumentation scope."""

    name: str = ""
    version: str = ""
    schema_url: str = ""
    attributes: Attributes = ()


@dataclass
class Metric:
    """One OTLP metric of cumulative points, with what Prometheus called its type ("" = unknown)."""

    name: str
    description: str
    unit: str
    kind: Kind
    monotonic: bool = False
    prometheus_type: str = ""
    scope: Scope = Scope()
    points: list[Point] = field(default_factory=list)
    delta: bool = False

    @property
    def metadata(self) -> Mapping[str, str]:
        return {"prometheus.type": self.prometheus_type} if self.prometheus_type else {}
