"""Families to text: OpenMetrics 1.0 and Prometheus text 0.0.4 and 1.0.0, family by family.

Written by hand beside prometheus_client's because one odd family must not lose the scrape, and
because the labels of OpenTelemetry series are formatted once and kept.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics.exposition import (
    UNDERSCORES,
    escape_label_name,
    escape_metric_name,
)

from bridge.metrics.names import LABEL_NAME
from bridge.metrics.points import as_float
from bridge.metrics.problems import Problems
from bridge.metrics.to_prometheus import (
    EXEMPLAR_CHARACTERS,
    Labels,
    Row,
    Shown,
    ShownExemplar,
    ShownFamily,
    go_float,
)

EOF_LINE = "# EOF\n"


@dataclass(frozen=True)
class Format:
    """What a scraper asked for."""

    openmetrics: bool
    version: str
    escaping: str = UNDERSCORES

    @property
    def content_type(self) -> str:
        kind = "application/openmetrics-text" if self.openmetrics else "text/plain"
        escaping = "" if self.version == "0.0.4" else f"; escaping={self.escaping}"
        return f"{kind}; version={self.version}; charset=utf-8{escaping}"


TEXT = Format(False, "0.0.4")
OPENMETRICS = Format(True, "1.0.0")


def show_registry(families: Iterable[Family], shown: Shown, problems: Problems) -> None:
    """Adds the families of a Prometheus registry to a scrape."""
    for family in families:
        wanted = ShownFamily(family.name, family.type, family.unit, family.documentation)
        known = shown.open(wanted)
        if known is None:
            continue
        _add_rows(known, family, problems)


def _add_rows(known: ShownFamily, family: Family, problems: Problems) -> None:
    seen = {(row.suffix, row.labels.pairs) for row in known.rows}
    lost = duplicates = 0
    for sample in family.samples:
        try:
            row = _row(family, sample)
        except (TypeError, ValueError, AttributeError):
            lost += 1
            continue
        key = (row.suffix, row.labels.pairs)
        if key in seen:
            duplicates += 1
            continue
        seen.add(key)
        known.rows.append(row)
    if lost:
        problems.report("points dropped", family.name, "samples no text can show", lost)
    if duplicates:
        problems.report("duplicate series", family.name, count=duplicates)


def _row(family: Family, sample: Any) -> Row:
    if sample.native_histogram is not None or not sample.name.startswith(family.name):
        raise ValueError(sample.name)
    labels = Labels((str(key), str(value)) for key, value in sample.labels.items())
    suffix = sample.name[len(family.name) :]
    return Row(suffix, labels, as_float(sample.value), sample.exemplar or None, sample.timestamp)


def render(shown: Iterable[ShownFamily], format_: Format, problems: Problems) -> bytes:
    """The scrape's text. A family that cannot be written is left out, and reported."""
    text = io.BytesIO()  # grows in bytes, family by family: a scrape is held once
    for family in shown:
        try:
            text.write(_family(family, format_).encode("utf-8", "replace"))
        except Exception as error:  # noqa: BLE001 - labels come from anywhere
            problems.report("points dropped", family.name, type(error).__name__, len(family.rows))
    if format_.openmetrics:
        text.write(EOF_LINE.encode())
    return text.getvalue()


def _family(family: ShownFamily, format_: Format) -> str:
    return "".join((_openmetrics if format_.openmetrics else _text)(family, format_))


def _openmetrics(family: ShownFamily, format_: Format) -> Iterator[str]:
    name = escape_metric_name(family.name, format_.escaping)
    yield f"# HELP {name} {_escaped(family.help)}\n# TYPE {name} {family.type}\n"
    if family.unit and family.name.endswith(f"_{family.unit}"):
        yield f"# UNIT {name} {family.unit}\n"
    yield from _lines(family, family.rows, format_, exemplars=True)


_TEXT_TYPES = {
    "info": "gauge",
    "stateset": "gauge",
    "unknown": "untyped",
    "gaugehistogram": "histogram",
}
_NAME_SUFFIXES = {"counter": "_total", "info": "_info"}
_OWN_FAMILY = ("_created", "_gsum", "_gcount")


def _text(family: ShownFamily, format_: Format) -> Iterator[str]:
    """The older format: `_created` and its like are gauges of their own, after the family."""
    name = family.name + _NAME_SUFFIXES.get(family.type, "")
    yield _text_head(name, _TEXT_TYPES.get(family.type, family.type), family, format_)
    apart = [row for row in family.rows if row.suffix in _OWN_FAMILY]
    rows = [row for row in family.rows if row.suffix not in _OWN_FAMILY] if apart else family.rows
    yield from _lines(family, rows, format_, exemplars=False)
    for suffix in sorted({row.suffix for row in apart}):
        yield _text_head(family.name + suffix, "gauge", family, format_)
        own = [row for row in apart if row.suffix == suffix]
        yield from _lines(family, own, format_, exemplars=False)


def _text_head(name: str, type_: str, family: ShownFamily, format_: Format) -> str:
    name = escape_metric_name(name, format_.escaping)
    help_ = family.help.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {name} {help_}\n# TYPE {name} {type_}\n"


def _lines(
    family: ShownFamily, rows: Iterable[Row], format_: Format, *, exemplars: bool
) -> Iterator[str]:
    names = {
        suffix: escape_metric_name(family.name + suffix, format_.escaping)
        for suffix in {row.suffix for row in rows}
    }
    quoted = {suffix: name for suffix, name in names.items() if name.startswith('"')}
    for suffix, labels, value, exemplar, timestamp in rows:
        if quoted:
            head = "{" + ",".join([names[suffix], *_pairs(labels, format_.escaping)]) + "}"
        else:
            text = labels.text
            if not text and labels.pairs:
                text = _labels_text(labels, format_)
            head = names[suffix] + text
        tail = "\n"
        if exemplar is not None and exemplars:
            tail = _exemplar(family.type, suffix, exemplar) + "\n"
        if timestamp is not None:
            tail = _timestamp(timestamp, format_) + tail
        number = str(value) if type(value) is int else go_float(value)
        yield f"{head} {number}{tail}"


def _labels_text(labels: Labels, format_: Format) -> str:
    """Kept with the labels where it does not depend on the escaping asked for."""
    text = "{" + ",".join(_pairs(labels, format_.escaping)) + "}"
    if all(LABEL_NAME.fullmatch(name) for name, _ in labels.pairs):
        labels.text = text
    return text


def _pairs(labels: Labels, escaping: str) -> list[str]:
    return [f'{_label(name, escaping)}="{_escaped(value)}"' for name, value in labels.pairs]


def _label(name: str, escaping: str) -> str:
    return name if LABEL_NAME.fullmatch(name) else escape_label_name(name, escaping)


def _escaped(value: str) -> str:
    if "\\" in value or "\n" in value or '"' in value:
        return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return value


def _timestamp(timestamp: Any, format_: Format) -> str:
    if format_.openmetrics:
        return f" {timestamp}"
    return f" {int(float(timestamp) * 1000)}"


_WITH_EXEMPLARS = frozenset(
    {("counter", "_total"), ("histogram", "_bucket"), ("gaugehistogram", "_bucket")}
)


def _exemplar(type_: str, suffix: str, exemplar: ShownExemplar) -> str:
    """Nothing where OpenMetrics allows none, or for one that is too long, or is none."""
    if (type_, suffix) not in _WITH_EXEMPLARS:
        return ""
    try:
        labels, timestamp = exemplar.labels, exemplar.timestamp
        if sum(len(key) + len(value) for key, value in labels.items()) > EXEMPLAR_CHARACTERS:
            return ""
        text = ",".join(f'{key}="{_escaped(value)}"' for key, value in sorted(labels.items()))
        when = "" if timestamp is None else f" {float(timestamp):.3f}"
        return f" # {{{text}}} {go_float(exemplar.value)}{when}"
    except (AttributeError, TypeError, ValueError):
        return ""
