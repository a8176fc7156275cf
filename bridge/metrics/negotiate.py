"""Which format a scraper gets: the Accept header, with its q-values, read as RFC 9110 has it."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.openmetrics.exposition import ALLOWUTF8, DOTS, UNDERSCORES, VALUES

from bridge.metrics.exposition import OPENMETRICS, TEXT, Format

ESCAPINGS = frozenset({ALLOWUTF8, UNDERSCORES, DOTS, VALUES})
MOST_CHOICES = 50


def choose_format(accept: str) -> Format:
    """The format of the highest q that we can write; the first of equals; text without any."""
    best, best_quality = TEXT, 0.0
    for kind, parameters, quality in _choices(accept):
        found = _format(kind, parameters)
        if found is not None and quality > best_quality:
            best, best_quality = found, quality
    return best


def accepts_gzip(accept_encoding: str) -> bool:
    return any(
        kind in {"gzip", "*"} and quality > 0 for kind, _, quality in _choices(accept_encoding)
    )


def _format(kind: str, parameters: dict[str, str]) -> Format | None:
    version = parameters.get("version", "")
    escaping = parameters.get("escaping", UNDERSCORES)
    if escaping not in ESCAPINGS:
        escaping = UNDERSCORES
    if kind == "application/openmetrics-text" and version in {"", "1.0.0"}:
        return Format(True, OPENMETRICS.version, escaping)
    if kind == "text/plain" and version == "1.0.0":
        return Format(False, version, escaping)
    if kind in {"text/plain", "text/*", "*/*"} and version in {"", TEXT.version}:
        return TEXT
    return None


def _choices(header: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for choice in header.split(",")[:MOST_CHOICES]:
        kind, *rest = choice.split(";")
        pairs = (part.partition("=") for part in rest)
        parameters = {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}
        yield kind.strip().lower(), parameters, _quality(parameters.pop("q", "1"))


def _quality(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0 <= value <= 1 else 0.0
