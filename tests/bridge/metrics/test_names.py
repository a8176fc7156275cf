"""Names and units, both ways."""

from __future__ import annotations

import pytest

from bridge.metrics.names import (
    UCUM_TO_WORD,
    Translation,
    label_name,
    metric_name,
    ucum_unit,
    unit_word,
)


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("bytes", "By"),
        ("seconds", "s"),
        ("kilobytes", "kBy"),
        ("tebibytes", "TiBy"),
        ("tibibytes", "TiBy"),
        ("ratio", "1"),
        ("meters_per_second", "m/s"),
        ("requests_per_minute", "requests/m"),
        ("widgets", "widgets"),
        ("", ""),
    ],
)
def test_prometheus_word_to_ucum(word, code):
    assert ucum_unit(word) == code


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("By/s", "bytes_per_second"),
        ("m/s", "meters_per_second"),
        ("{requests}", ""),
        ("{requests}/s", "per_second"),
        ("KBy", "kilobytes"),
        ("1", ""),
        ("%", "percent"),
        ("widget-hours", "widget_hours"),
        ("", ""),
    ],
)
def test_ucum_to_prometheus_word(code, word):
    assert unit_word(code) == word


def test_one_is_a_ratio_for_gauges_only():
    assert unit_word("1", gauge=True) == "ratio"


@pytest.mark.parametrize("code", sorted(set(UCUM_TO_WORD) - {"1", "KBy"}))
def test_every_unit_comes_back(code):
    assert ucum_unit(unit_word(code)) == code


@pytest.mark.parametrize(
    ("name", "unit", "counter", "expected"),
    [
        ("http.server.duration", "s", False, "http_server_duration_seconds"),
        ("temp_celsius", "Cel", False, "temp_celsius"),
        ("jobs.total", "", True, "jobs"),
        ("jobs_total", "", True, "jobs"),
        ("a--b..c", "", False, "a_b_c"),
        ("1st", "", False, "_1st"),
        ("ns:jobs", "", False, "ns:jobs"),
        ("é", "", False, "_"),
    ],
)
def test_metric_names(name, unit, counter, expected):
    found = metric_name(
        name,
        unit,
        counter=counter,
        gauge=False,
        translation=Translation.UNDERSCORES_WITH_SUFFIXES,
    )
    assert found.name == expected


@pytest.mark.parametrize(
    ("translation", "expected"),
    [
        ("UnderscoreEscapingWithSuffixes", "a_b_seconds"),
        ("UnderscoreEscapingWithoutSuffixes", "a_b"),
        ("NoUTF8EscapingWithSuffixes", "a.b_seconds"),
        ("NoTranslation", "a.b"),
    ],
)
def test_the_four_translations(translation, expected):
    found = metric_name(
        "a.b", "s", counter=False, gauge=False, translation=Translation(translation)
    )
    assert found.name == expected


@pytest.mark.parametrize(
    ("key", "label"),
    [
        ("http.method", "http_method"),
        ("1a", "key_1a"),
        ("2a", "key_2a"),
        ("a..b", "a_b"),
        ("__reserved", "_reserved"),
        ("ok", "ok"),
    ],
)
def test_labels(key, label):
    assert label_name(key, Translation.UNDERSCORES_WITH_SUFFIXES) == label


def test_labels_stay_where_names_are_not_translated():
    assert label_name("http.method", Translation.NONE) == "http.method"
