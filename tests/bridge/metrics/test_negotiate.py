"""Which format for which Accept header."""

from __future__ import annotations

import pytest

from bridge.metrics.exposition import OPENMETRICS, TEXT, Format
from bridge.metrics.negotiate import accepts_gzip, choose_format

PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html,application/xhtml+xml,*/*;q=0.8", TEXT),
        ("text/plain", TEXT),
        ("application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text; version=1.0.0", OPENMETRICS),
        ("Application/OpenMetrics-Text;Version=1.0.0", OPENMETRICS),
        ("application/openmetrics-text;version=0.0.1", TEXT),
        ("application/openmetrics-text;version=2.0.0", TEXT),
        ("application/vnd.google.protobuf;proto=x;q=0.9, text/plain;q=0.1", TEXT),
        ("text/plain;q=0.9,application/openmetrics-text;q=0.5", TEXT),
        ("text/plain;q=0.5,application/openmetrics-text;q=0.9", OPENMETRICS),
        ("application/openmetrics-text;q=0,text/plain;q=0.1", TEXT),
        ("application/openmetrics-text;q=nonsense", TEXT),
        (PROMETHEUS_3, Format(True, "1.0.0", "allow-utf-8")),
        ("text/plain;version=1.0.0;escaping=dots", Format(False, "1.0.0", "dots")),
        ("text/plain;version=1.0.0;escaping=bogus", Format(False, "1.0.0")),
    ],
)
def test_choice(accept, expected):
    assert choose_format(accept) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", False),
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("identity", False),
    ],
)
def test_gzip(header, expected):
    assert accepts_gzip(header) is expected


def test_content_types():
    assert TEXT.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert OPENMETRICS.content_type == (
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
    )


def test_a_header_without_end_is_read_only_so_far():
    assert choose_format("x/y," * 100_000 + "application/openmetrics-text") == TEXT
