"""Names and units across the border: Prometheus words, UCUM codes, characters, suffixes.

The rules are those of the OpenTelemetry specification, "Prometheus and OpenMetrics
Compatibility"; the unit table is the one the Collector and Prometheus translate with.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

# UCUM code -> Prometheus word. Where two codes share a word the first is what comes back.
UCUM_TO_WORD: dict[str, str] = {
    "d": "days",
    "h": "hours",
    "min": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "By": "bytes",
    "KiBy": "kibibytes",
    "MiBy": "mebibytes",
    "GiBy": "gibibytes",
    "TiBy": "tebibytes",
    "kBy": "kilobytes",
    "KBy": "kilobytes",
    "MBy": "megabytes",
    "GBy": "gigabytes",
    "TBy": "terabytes",
    "m": "meters",
    "V": "volts",
    "A": "amperes",
    "J": "joules",
    "W": "watts",
    "g": "grams",
    "Cel": "celsius",
    "Hz": "hertz",
    "1": "ratio",
    "%": "percent",
}
PER_UCUM_TO_WORD: dict[str, str] = {
    "s": "second",
    "m": "minute",
    "min": "minute",
    "h": "hour",
    "d": "day",
    "w": "week",
    "mo": "month",
    "y": "year",
}
WORD_TO_UCUM: dict[str, str] = {"tibibytes": "TiBy"}
for _code, _word in UCUM_TO_WORD.items():
    WORD_TO_UCUM.setdefault(_word, _code)
PER_WORD_TO_UCUM: dict[str, str] = {
    word: code for code, word in PER_UCUM_TO_WORD.items() if code != "min"
}

_BRACES = re.compile(r"\{[^}]*\}")
_NOT_METRIC = re.compile(r"[^a-zA-Z0-9_:]")
_NOT_LABEL = re.compile(r"[^a-zA-Z0-9_]")
_UNDERSCORES = re.compile(r"__+")
METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class Translation(Enum):
    """How an OpenTelemetry name becomes a Prometheus one (the specification's four options)."""

    UNDERSCORES_WITH_SUFFIXES = "UnderscoreEscapingWithSuffixes"
    UNDERSCORES_WITHOUT_SUFFIXES = "UnderscoreEscapingWithoutSuffixes"
    UTF8_WITH_SUFFIXES = "NoUTF8EscapingWithSuffixes"
    NONE = "NoTranslation"

    @property
    def escapes(self) -> bool:
        return self in (self.UNDERSCORES_WITH_SUFFIXES, self.UNDERSCORES_WITHOUT_SUFFIXES)

    @property
    def suffixes(self) -> bool:
        return self in (self.UNDERSCORES_WITH_SUFFIXES, self.UTF8_WITH_SUFFIXES)


class PrometheusName(NamedTuple):
    """A family's name without `_total`, and its UNIT word (empty without suffixes)."""

    name: str
    unit: str


def ucum_unit(word: str) -> str:
    """The UCUM code of a Prometheus UNIT word; a word the table lacks stays as it is."""
    amount, per, interval = word.partition("_per_")
    if not per:
        return WORD_TO_UCUM.get(word, word)
    return f"{WORD_TO_UCUM.get(amount, amount)}/{PER_WORD_TO_UCUM.get(interval, interval)}"


def unit_word(code: str, *, gauge: bool = False) -> str:
    """The Prometheus word of a UCUM code: `By/s` is `bytes_per_second`, `{requests}` is empty.

    The unit `1` is `ratio`, for gauges only.
    """
    amount, slash, interval = _BRACES.sub("", code).strip().partition("/")
    if amount == "1" and not gauge:
        amount = ""
    word = UCUM_TO_WORD.get(amount, amount)
    if slash and interval:
        per = f"per_{PER_UCUM_TO_WORD.get(interval, interval)}"
        word = f"{word}_{per}" if word else per
    return _UNDERSCORES.sub("_", _NOT_LABEL.sub("_", word)).strip("_")


def metric_name(
    name: str, unit: str, *, counter: bool, gauge: bool, translation: Translation
) -> PrometheusName:
    """The Prometheus family name of an OpenTelemetry metric.

    `_total` is left off, as OpenMetrics has it in the family's name; the sample gets it back.
    """
    base = name
    if translation.escapes:
        base = _collapse(_NOT_METRIC.sub("_", base))
        if base[:1].isdigit():
            base = f"_{base}"
    if counter:
        base = base.removesuffix("_total")
    if not translation.suffixes:
        return PrometheusName(base, "")
    word = unit_word(unit, gauge=gauge)
    if word and not base.endswith(f"_{word}") and base != word:
        base = f"{base}_{word}"
    return PrometheusName(base, word)


def _collapse(name: str) -> str:
    return _UNDERSCORES.sub("_", name)


def label_name(key: str, translation: Translation) -> str:
    """The Prometheus label of an attribute key. A leading digit gets `key_` before it."""
    if not translation.escapes:
        return key
    escaped = _collapse(_NOT_LABEL.sub("_", key))
    return f"key_{escaped}" if escaped[:1].isdigit() else escaped
