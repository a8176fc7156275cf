"""Points to OTLP bytes: the protobuf wire format, written by hand because it is a hot path.

Field numbers are those of opentelemetry/proto/metrics/v1/metrics.proto. Protobuf lets fields
come in any order and messages be concatenated; both are used here.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from bridge.metrics.points import (
    Attributes,
    Exemplar,
    ExponentialPoint,
    HistogramPoint,
    Kind,
    Metric,
    NumberPoint,
    Point,
    Scope,
    StalePoint,
    SummaryPoint,
)
from bridge.otlp.wire import varint

CUMULATIVE, DELTA = 2, 1
NO_RECORDED_VALUE = 1
INT64_MAX = 2**63 - 1

pack_double: Callable[[float], bytes] = struct.Struct("<d").pack
pack_fixed64: Callable[[int], bytes] = struct.Struct("<Q").pack
pack_sfixed64: Callable[[int], bytes] = struct.Struct("<q").pack

# The field of a point's attributes, exemplars and flags differs between the kinds.
ATTRIBUTES_FIELD = {
    Kind.GAUGE: 7,
    Kind.SUM: 7,
    Kind.HISTOGRAM: 9,
    Kind.EXPONENTIAL: 1,
    Kind.SUMMARY: 7,
}
FLAGS_FIELD = {
    Kind.GAUGE: 8,
    Kind.SUM: 8,
    Kind.HISTOGRAM: 10,
    Kind.EXPONENTIAL: 10,
    Kind.SUMMARY: 8,
}
NUMBER_EXEMPLARS, HISTOGRAM_EXEMPLARS, EXPONENTIAL_EXEMPLARS = 5, 8, 11


def zigzag(value: int) -> bytes:
    return varint(value * 2 if value >= 0 else -value * 2 - 1)


def tag(field: int, wire_type: int) -> bytes:
    return varint(field << 3 | wire_type)


def message(field: int, body: bytes) -> bytes:
    """A length-delimited field: a message, a string, bytes or packed numbers."""
    length = len(body)
    if field < 16 and length < 128:
        return bytes((field << 3 | 2, length)) + body
    return b"%b%b%b" % (tag(field, 2), varint(length), body)


def nested(field: int, *pieces: bytes) -> list[bytes]:
    """The same in pieces: what is large is copied once, when the whole request is joined."""
    return [tag(field, 2) + varint(sum(map(len, pieces))), *pieces]


def text(field: int, value: str) -> bytes:
    """A string field; nothing for "". Lone surrogates, which UTF-8 has no bytes for, become ?."""
    return message(field, value.encode("utf-8", "replace")) if value else b""


def double(field: int, value: float) -> bytes:
    return tag(field, 1) + pack_double(value)


def fixed64(field: int, value: int) -> bytes:
    """A time or a count; nothing for 0."""
    return tag(field, 1) + pack_fixed64(value) if value else b""


def any_value(value: Any) -> bytes:
    """An AnyValue. What OTLP has no type for becomes its text."""
    if isinstance(value, str):
        return message(1, value.encode("utf-8", "replace"))
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int) and -INT64_MAX <= value <= INT64_MAX:
        return b"\x18" + varint(value % 2**64)
    if isinstance(value, float):
        return double(4, value)
    if isinstance(value, bytes):
        return message(7, value)
    if isinstance(value, (list, tuple)):
        return message(5, b"".join(message(1, any_value(item)) for item in value))
    return message(1, str(value).encode("utf-8", "replace"))


def key_values(field: int, attributes: Attributes) -> bytes:
    return b"".join(
        message(field, text(1, key) + message(2, any_value(value))) for key, value in attributes
    )


def exemplars(field: int, found: Sequence[Exemplar]) -> bytes:
    """By ascending value: Prometheus' OTLP receiver relies on that order within a histogram."""
    items = found if len(found) < 2 else sorted(found, key=lambda item: item.value)
    return b"".join(message(field, _exemplar(item)) for item in items)


def _exemplar(item: Exemplar) -> bytes:
    if item.trace_id and item.span_id and item.time_unix_nano and not item.attributes:
        return b"\x11%b%b\x22\x08%b\x2a\x10%b" % (
            pack_fixed64(item.time_unix_nano), number(3, item.value), item.span_id, item.trace_id,
        )  # fmt: skip
    body = fixed64(2, item.time_unix_nano) + number(3, item.value)
    if item.span_id:
        body += message(4, item.span_id)
    if item.trace_id:
        body += message(5, item.trace_id)
    return body + key_values(7, item.attributes)


def number(double_field: int, value: Any) -> bytes:
    """An `as_double`, or for an int that fits an `as_int` (field 6 in both messages)."""
    if type(value) is int and -INT64_MAX <= value <= INT64_MAX:
        return b"\x31" + pack_sfixed64(value)
    return double(double_field, float(value))


def _number_point(point: NumberPoint) -> bytes:
    return b"".join(
        (
            fixed64(2, point.start),
            fixed64(3, point.time),
            number(4, point.value),
            exemplars(NUMBER_EXEMPLARS, point.exemplars),
        )
    )


def bucket_counts(counts: Sequence[int]) -> bytes:
    return message(6, struct.pack(f"<{len(counts)}Q", *counts))


def explicit_bounds(bounds: Sequence[float]) -> bytes:
    return message(7, struct.pack(f"<{len(bounds)}d", *bounds)) if bounds else b""


def _histogram_point(point: HistogramPoint) -> bytes:
    return b"".join(
        (
            fixed64(2, point.start),
            fixed64(3, point.time),
            b"\x21" + pack_fixed64(point.count),
            b"" if point.sum is None else double(5, point.sum),
            bucket_counts(point.counts),
            explicit_bounds(point.bounds),
            exemplars(HISTOGRAM_EXEMPLARS, point.exemplars),
            *_extremes(11, point.min, point.max),
        )
    )


def _extremes(field: int, low: float | None, high: float | None) -> Iterator[bytes]:
    if low is not None and math.isfinite(low):
        yield double(field, low)
    if high is not None and math.isfinite(high):
        yield double(field + 1, high)


def _exponential_point(point: ExponentialPoint) -> bytes:
    return b"".join(
        (
            fixed64(2, point.start),
            fixed64(3, point.time),
            b"\x21" + pack_fixed64(point.count),
            b"" if point.sum is None else double(5, point.sum),
            tag(6, 0) + zigzag(point.scale),
            fixed64(7, point.zero_count),
            _exponential_buckets(8, point.positive),
            _exponential_buckets(9, point.negative),
            exemplars(EXPONENTIAL_EXEMPLARS, point.exemplars),
            *_extremes(12, point.min, point.max),
            double(14, point.zero_threshold) if point.zero_threshold else b"",
        )
    )


def _exponential_buckets(field: int, buckets: tuple[int, Sequence[int]]) -> bytes:
    offset, counts = buckets
    if not counts:
        return b""
    packed = message(2, b"".join(map(varint, counts)))
    return message(field, tag(1, 0) + zigzag(offset) + packed)


def _summary_point(point: SummaryPoint) -> bytes:
    quantiles = (
        message(6, double(1, quantile) + double(2, value)) for quantile, value in point.quantiles
    )
    return b"".join(
        (
            fixed64(2, point.start),
            fixed64(3, point.time),
            b"\x21" + pack_fixed64(point.count),
            double(5, point.sum),
            *quantiles,
        )
    )


_POINTS: dict[Kind, Callable[[Any], bytes]] = {
    Kind.GAUGE: _number_point,
    Kind.SUM: _number_point,
    Kind.HISTOGRAM: _histogram_point,
    Kind.EXPONENTIAL: _exponential_point,
    Kind.SUMMARY: _summary_point,
}


def attributes_of(kind: Kind, attributes: Attributes) -> bytes:
    """A point's attributes, as `point` wants them: encoded once, kept by the caller."""
    return key_values(ATTRIBUTES_FIELD[kind], attributes)


def point(kind: Kind, item: Point, attributes: bytes) -> bytes:
    """One `data_points` entry (field 1 of every kind's message)."""
    if isinstance(item, StalePoint):
        return stale_point(kind, item.time, attributes)
    return message(1, attributes + _POINTS[kind](item))


def stale_point(kind: Kind, time: int, attributes: bytes) -> bytes:
    """A `data_points` entry that ends a series."""
    flags = tag(FLAGS_FIELD[kind], 0) + varint(NO_RECORDED_VALUE)
    return message(1, attributes + fixed64(3, time) + flags)


def metric_frame(metric: Metric) -> Frame:
    """What stands around a metric's points, so that a long metric can be sent in parts."""
    head = b"".join(
        (
            text(1, metric.name),
            text(2, metric.description),
            text(3, metric.unit),
            key_values(12, tuple(metric.metadata.items())),
        )
    )
    tail = b""
    if metric.kind in (Kind.SUM, Kind.HISTOGRAM, Kind.EXPONENTIAL):
        tail = b"\x10" + varint(DELTA if metric.delta else CUMULATIVE)
    if metric.monotonic:
        tail += b"\x18\x01"
    return Frame(metric.kind, head, tail)


class Frame:
    """A metric without its points."""

    __slots__ = ("head", "kind", "overhead", "tail")

    def __init__(self, kind: Kind, head: bytes, tail: bytes) -> None:
        self.kind, self.head, self.tail = kind, head, tail
        self.overhead = len(head) + len(tail) + 24  # lengths and tags, generously

    def around(self, points: bytes) -> list[bytes]:
        """A `metrics` entry of ScopeMetrics."""
        return nested(2, self.head, *nested(self.kind.value, points, self.tail))


def scope_frame(scope: Scope, metrics: Iterable[bytes]) -> list[bytes]:
    """A `scope_metrics` entry of ResourceMetrics."""
    body = text(1, scope.name) + text(2, scope.version) + key_values(3, scope.attributes)
    return nested(2, message(1, body), *metrics, text(3, scope.schema_url))


def resource_frame(attributes: Attributes, schema_url: str, scopes: Iterable[bytes]) -> list[bytes]:
    """A `resource_metrics` entry of ExportMetricsServiceRequest."""
    return nested(1, message(1, key_values(1, attributes)), *scopes, text(3, schema_url))
