"""OpenTelemetry metrics to Prometheus families, by the rules of the compatibility specification.

"OTLP Metric points to Prometheus" of the OpenTelemetry specification. Names and labels are
translated once for each series and kept, so that a scrape only formats numbers.
"""

from __future__ import annotations

import json
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogram,
    Gauge,
    Histogram,
    MetricsData,
    Sum,
)
from prometheus_client.utils import floatToGoString

from bridge.metrics.names import Translation, label_name, metric_name
from bridge.metrics.problems import Problems

# An exponential histogram is shown with four buckets for each doubling at most: bounds that do
# not move when the SDK halves its resolution.
SHOWN_SCALE = 2
EXEMPLAR_CHARACTERS = 128
go_float: Callable[[float], str] = floatToGoString
CONFLICT = "metric conflict"

SUFFIXES = {
    "counter": ("", "_total", "_created"),
    "histogram": ("", "_bucket", "_count", "_sum", "_created"),
    "summary": ("", "_count", "_sum", "_created"),
    "info": ("", "_info"),
    "gaugehistogram": ("", "_bucket", "_gcount", "_gsum"),
}


@dataclass(frozen=True)
class Options:
    """How OpenTelemetry metrics are shown to Prometheus.

    `resource_labels` names resource attributes that every series shall carry. `created` adds
    `_created` lines, which double the size of a scrape.
    """

    translation: Translation = Translation.UNDERSCORES_WITH_SUFFIXES
    scope_labels: bool = True
    target_info: bool = True
    resource_labels: frozenset[str] = frozenset()
    created: bool = False


class Labels:
    """A label set, and its text between braces once that was needed."""

    __slots__ = ("pairs", "text")

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self.pairs = tuple(pairs)
        self.text = ""

    def plus(self, name: str, value: str) -> Labels:
        return Labels((*self.pairs, (name, value)))


class ShownExemplar(Protocol):
    """What prometheus_client's exemplars have, and ours."""

    @property
    def labels(self) -> dict[str, str]: ...

    @property
    def value(self) -> float: ...

    @property
    def timestamp(self) -> Any: ...  # seconds, or None


class Row(NamedTuple):
    """One sample line: the family's name, this suffix, and so on."""

    suffix: str
    labels: Labels
    value: float
    exemplar: ShownExemplar | None = None
    timestamp: Any = None


@dataclass
class ShownFamily:
    name: str
    type: str
    unit: str
    help: str
    rows: list[Row] = field(default_factory=list)

    def sample_names(self) -> set[str]:
        return {self.name + suffix for suffix in SUFFIXES.get(self.type, ("",))}


class Shown:
    """The families of one scrape, by name, and who has taken which sample name."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._families: dict[str, ShownFamily] = {}
        self._taken: dict[str, str] = {}

    def __iter__(self) -> Iterator[ShownFamily]:
        return iter(self._families.values())

    def open(self, family: ShownFamily) -> ShownFamily | None:
        """The family to put rows into: the known one of that name, or None on a conflict.

        A second TYPE, HELP or UNIT line is never written: another type is refused, another help
        or unit yields to the first.
        """
        known = self._families.get(family.name)
        if known is None:
            return self._claim(family)
        if known.type != family.type:
            self._problems.report(
                CONFLICT, family.name, f"shown as a {known.type} already, {family.type} left out"
            )
            return None
        if (known.help, known.unit) != (family.help, family.unit):
            self._problems.report(CONFLICT, family.name, "another help or unit: the first stays")
        return known

    def _claim(self, family: ShownFamily) -> ShownFamily | None:
        names = family.sample_names()
        for name in names:
            if name in self._taken:
                self._problems.report(
                    CONFLICT, family.name, f"{name} belongs to {self._taken[name]}: left out"
                )
                return None
        self._taken.update(dict.fromkeys(names, family.name))
        self._families[family.name] = family
        return family


class Translator:
    """Turns what the SDK collected into families, scrape after scrape."""

    def __init__(self, options: Options, problems: Problems) -> None:
        self.options = options
        self._problems = problems
        self._labels: dict[int, tuple[Any, Labels]] = {}
        self._kept: dict[int, tuple[Any, Labels]] = {}
        self._bounds: dict[int, _Buckets] = {}
        self._kept_bounds: dict[int, _Buckets] = {}

    def show(
        self, data: MetricsData, shown: Shown, exemplars: Callable[[Any], Sequence[Any]]
    ) -> None:
        """Adds the families of `data` to `shown`; `exemplars` gives a point's."""
        self._labels, self._kept = self._kept, {}
        self._bounds, self._kept_bounds = self._kept_bounds, {}
        for resource_metrics in data.resource_metrics:
            resource = resource_metrics.resource.attributes
            if self.options.target_info and resource:
                self._target_info(resource, shown)
            extra = {k: v for k, v in resource.items() if k in self.options.resource_labels}
            for scope_metrics in resource_metrics.scope_metrics:
                scope = self._scope_labels(scope_metrics.scope)
                context = _Context(extra, scope, exemplars)
                for metric in scope_metrics.metrics:
                    try:
                        self._metric(metric, shown, context)
                    except Exception as error:  # noqa: BLE001 - one metric must not lose a scrape
                        self._problems.report("points dropped", metric.name, type(error).__name__)

    def _target_info(self, resource: Any, shown: Shown) -> None:
        family = shown.open(ShownFamily("target", "info", "", "Target metadata"))
        if family is not None and not family.rows:
            family.rows.append(Row("_info", self._make_labels(resource, {}), 1))

    def _scope_labels(self, scope: Any) -> dict[str, str]:
        if not self.options.scope_labels or scope is None:
            return {}
        labels = {
            label_name(f"otel_scope_{key}", self.options.translation): value_text(value)
            for key, value in (scope.attributes or {}).items()
        }
        named = {
            "otel_scope_name": scope.name,
            "otel_scope_version": scope.version,
            "otel_scope_schema_url": scope.schema_url,
        }
        return {**labels, **{key: value for key, value in named.items() if value}}

    def _metric(self, metric: Any, shown: Shown, context: _Context) -> None:
        data = metric.data
        type_ = _type_of(metric)
        if type_ is None:
            self._problems.report("points dropped", metric.name, "a type Prometheus cannot show")
            return
        if getattr(data, "aggregation_temporality", None) is AggregationTemporality.DELTA:
            self._problems.report("points dropped", metric.name, "delta temporality")
            return
        name = metric_name(
            metric.name,
            metric.unit or "",
            counter=type_ == "counter",
            gauge=isinstance(data, Gauge),
            translation=self.options.translation,
        )
        wanted = ShownFamily(name.name, type_, name.unit, metric.description or "")
        family = shown.open(wanted)
        if family is None:
            return
        merging = family is not wanted
        rows = _Rows(self, family, context, set() if merging else None)
        if merging:
            rows.seen = {(row.suffix, row.labels.pairs) for row in family.rows}
        _ROWS[type(data)](rows, data.data_points)
        if rows.duplicates:
            self._problems.report("duplicate series", family.name, count=rows.duplicates)

    def labels(self, attributes: Any, context: _Context) -> Labels:
        """The labels of a series; `attributes` is the SDK's own object, the same every time."""
        key = id(attributes)
        known = self._labels.get(key)
        if known is None or known[0] is not attributes:
            known = (attributes, self._make_labels({**context.extra, **attributes}, context.scope))
        self._kept[key] = known
        return known[1]

    def _make_labels(self, attributes: Any, reserved: dict[str, str]) -> Labels:
        """Keys that become one label have their values joined by `;`, in order of the keys."""
        found: dict[str, list[str]] = {}
        for key in sorted(attributes):
            name = label_name(key, self.options.translation)
            if name in reserved:
                continue
            found.setdefault(name, []).append(value_text(attributes[key]))
        joined = {name: ";".join(values) for name, values in found.items()}
        return Labels({**joined, **reserved}.items())

    def buckets(self, labels: Labels, bounds: Sequence[float]) -> _Buckets:
        """The label sets of a histogram's samples."""
        key = id(labels)
        known = self._bounds.get(key)
        if known is None or known.labels is not labels or known.bounds != bounds:
            base = _without(labels, "le")
            texts = [*map(go_float, bounds), "+Inf"]
            known = _Buckets(labels, bounds, base, [base.plus("le", text) for text in texts])
        self._kept_bounds[key] = known
        return known


class _Buckets(NamedTuple):
    labels: Labels
    bounds: Sequence[float]
    base: Labels  # without a `le` of the application
    each: list[Labels]


class _Context(NamedTuple):
    extra: dict[str, Any]
    scope: dict[str, str]
    exemplars: Callable[[Any], Sequence[Any]]


class _Rows:
    """Adds the rows of one metric to its family."""

    def __init__(
        self,
        translator: Translator,
        family: ShownFamily,
        context: _Context,
        seen: set[tuple[str, Any]] | None,
    ) -> None:
        self.translator, self.family, self.context, self.seen = translator, family, context, seen
        self.created = translator.options.created
        self.duplicates = 0

    def numbers(self, data_points: Sequence[Any]) -> None:
        counter = self.family.type == "counter"
        suffix = {"counter": "_total", "info": "_info"}.get(self.family.type, "")
        context, translator = self.context, self.translator
        append = self.family.rows.append
        for point in data_points:
            labels = translator.labels(point.attributes, context)
            if self.seen is not None and self._is_duplicate(suffix, labels):
                continue
            found = context.exemplars(point) if counter else ()
            append(Row(suffix, labels, point.value, SdkExemplar(found[-1]) if found else None))
            if counter and self.created and point.start_time_unix_nano:
                append(Row("_created", labels, point.start_time_unix_nano / 1e9))

    def histograms(self, data_points: Sequence[Any]) -> None:
        for point in data_points:
            self._histogram(point, point.explicit_bounds, point.bucket_counts)

    def exponentials(self, data_points: Sequence[Any]) -> None:
        for point in data_points:
            bounds, counts = classic_buckets(point)
            self._histogram(point, bounds, counts)

    def _histogram(self, point: Any, bounds: Sequence[float], counts: Sequence[int]) -> None:
        labels = self.translator.labels(point.attributes, self.context)
        if self.seen is not None and self._is_duplicate("_count", labels):
            return
        exemplars = self._by_bucket(point, bounds)
        total, rows = 0, self.family.rows
        buckets = self.translator.buckets(labels, bounds)
        labels = buckets.base
        for index, (le, count) in enumerate(zip(buckets.each, counts, strict=True)):
            total += count
            rows.append(Row("_bucket", le, total, exemplars.get(index)))
        rows.append(Row("_count", labels, total))
        if not bounds or bounds[0] >= 0:
            rows.append(Row("_sum", labels, point.sum))
        if self.created and point.start_time_unix_nano:
            rows.append(Row("_created", labels, point.start_time_unix_nano / 1e9))

    def _by_bucket(self, point: Any, bounds: Sequence[float]) -> dict[int, SdkExemplar]:
        found = self.context.exemplars(point)
        if not found:
            return {}
        latest = sorted(found, key=lambda item: item.time_unix_nano)
        return {bisect_left(bounds, item.value): SdkExemplar(item) for item in latest}

    def _is_duplicate(self, suffix: str, labels: Labels) -> bool:
        assert self.seen is not None
        key = (suffix, labels.pairs)
        if key in self.seen:
            self.duplicates += 1
            return True
        self.seen.add(key)
        return False


_ROWS: dict[type, Callable[[_Rows, Sequence[Any]], None]] = {
    Sum: _Rows.numbers,
    Gauge: _Rows.numbers,
    Histogram: _Rows.histograms,
    ExponentialHistogram: _Rows.exponentials,
}


def _type_of(metric: Any) -> str | None:
    data = metric.data
    if isinstance(data, Sum):
        return "counter" if data.is_monotonic else _told_type(metric)
    if isinstance(data, Gauge):
        return _told_type(metric)
    return "histogram" if isinstance(data, (Histogram, ExponentialHistogram)) else None


def _told_type(metric: Any) -> str:
    """`prometheus.type` metadata says what a gauge was before it came through OTLP."""
    told = (getattr(metric, "metadata", None) or {}).get("prometheus.type", "gauge")
    return told if told in {"gauge", "unknown", "info", "stateset"} else "gauge"


def _without(labels: Labels, name: str) -> Labels:
    """Prometheus' own way with a label that it needs itself: `exported_` before it."""
    names = {key for key, _ in labels.pairs}
    if name not in names:
        return labels
    free = f"exported_{name}"
    while free in names:
        free = f"exported_{free}"
    return Labels((free if key == name else key, value) for key, value in labels.pairs)


def value_text(value: Any) -> str:
    """An attribute's value as a label's: strings as they are, everything else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


class SdkExemplar:
    """An exemplar of the SDK; formatted when its line is written, for there may be many."""

    __slots__ = ("_item",)

    def __init__(self, item: Any) -> None:
        self._item = item

    @property
    def value(self) -> float:
        return float(self._item.value)

    @property
    def timestamp(self) -> float:
        return float(self._item.time_unix_nano / 1e9)

    @property
    def labels(self) -> dict[str, str]:
        """Ids win over attributes of their name; attributes come along if they fit."""
        item, ids = self._item, {}
        if item.trace_id:
            ids["trace_id"] = f"{item.trace_id:032x}"
        if item.span_id:
            ids["span_id"] = f"{item.span_id:016x}"
        if not item.filtered_attributes:
            return ids
        extra = {
            label_name(str(key), Translation.UNDERSCORES_WITH_SUFFIXES): value_text(value)
            for key, value in item.filtered_attributes.items()
        }
        labels = {**extra, **ids}
        fits = sum(len(key) + len(value) for key, value in labels.items()) <= EXEMPLAR_CHARACTERS
        return labels if fits else ids


def classic_buckets(point: Any) -> tuple[list[float], list[int]]:
    """Bounds and counts of an exponential point, as an explicit histogram would have them.

    Exact at every bound shown: the bounds of a coarser scale are among those of a finer one.
    """
    shift = max(point.scale - SHOWN_SCALE, 0)
    scale = point.scale - shift
    bounds: list[float] = []
    counts: list[int] = []
    for index, count in sorted(_coarser(point.negative, shift).items(), reverse=True):
        bounds.append(-_bound(scale, index))
        counts.append(count)
    bounds.append(getattr(point, "zero_threshold", 0.0) or 0.0)
    counts.append(point.zero_count)
    for index, count in sorted(_coarser(point.positive, shift).items()):
        bounds.append(_bound(scale, index + 1))
        counts.append(count)
    return bounds, [*counts, 0]


def _coarser(buckets: Any, shift: int) -> dict[int, int]:
    """Counts by index at a scale lower by `shift`, without gaps."""
    found: dict[int, int] = {}
    for position, count in enumerate(buckets.bucket_counts):
        index = (buckets.offset + position) >> shift
        found[index] = found.get(index, 0) + count
    return found if any(found.values()) else {}


def _bound(scale: int, index: int) -> float:
    """base ** index for base = 2 ** (2 ** -scale): the lower bound of that bucket."""
    try:
        return float(2.0 ** (index * 2.0**-scale))
    except OverflowError:
        return sys.float_info.max
