"""Every sample shows the same trace before and after, or differs only where its file says why."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cache

import pytest

from migrator.compare.comparison import compare_recordings
from migrator.compare.model import Recording
from migrator.compare.plan import Plan, command, from_file
from migrator.compare.sides import run_side
from samples import compare
from tests.migrator.compare.interpreters import old_opentelemetry

SHIMMED = sorted({*compare.names()} - {"otel_exporter", "metrics"})


def plan(name: str) -> Plan:
    return from_file(compare.SAMPLES / name / "compare.toml")


@cache
def legacy(name: str) -> Recording:
    if name == "otel_exporter":
        old_opentelemetry()
    return run_side(plan(name).before).recording


@pytest.mark.parametrize("name", compare.names())
def test_a_sample_is_equal_before_and_after(name: str):
    rules = plan(name).rules
    outcome = compare_recordings(legacy(name), run_side(plan(name).after).recording, rules)
    assert outcome.counts == {}
    assert outcome.unused == []
    assert outcome.before.spans


@pytest.mark.parametrize("name", SHIMMED)
def test_a_sample_is_equal_under_the_shim(name: str):
    """The legacy program on jaeger-client, and the same program by `jaeger2otlp run`."""
    before = plan(name).before
    words = command("jaeger2otlp run -- python main.py", sys.executable)
    shimmed = replace(before, driver=replace(before.driver, command=words))
    outcome = compare_recordings(legacy(name), run_side(shimmed).recording)
    assert outcome.counts == {}
    assert outcome.allowed.keys() <= {"client-resource", "free-port", "changed-stack"}


def test_every_sample_says_how_it_is_compared():
    samples = {path.parent.name for path in compare.SAMPLES.glob("*/before")}
    assert samples == set(compare.names())
