"""Every sample shows the same trace before and after, or differs only where its file says why."""

from __future__ import annotations

import sys

import pytest

from migrator.compare.comparison import compare_recordings
from migrator.compare.plan import Side, command, path_of
from migrator.compare.programs import Program
from migrator.compare.sides import run_side
from samples import compare
from tests.migrator.compare.interpreters import old_opentelemetry

ENV = path_of(sys.executable)
READY = [name for name in compare.names() if (compare.SAMPLES / name / "after").is_dir()]


@pytest.mark.parametrize("name", READY)
def test_a_sample_is_equal_before_and_after(name: str):
    if name == "otel_exporter":
        old_opentelemetry()
    outcome = compare.compare(name)
    assert outcome.counts == {}
    assert outcome.unused == []
    assert outcome.before.spans


@pytest.mark.parametrize("name", sorted({*compare.names()} - {"otel_exporter", "metrics"}))
def test_a_sample_is_equal_under_the_shim(name: str):
    """The legacy program on jaeger-client, and the same program by `jaeger2otlp run`."""
    folder = compare.SAMPLES / name / "before"
    sides = ("main.py", "jaeger2otlp run -- python main.py")
    old, new = (
        run_side(Side(line, Program(line, command(line, sys.executable), folder, ENV)))
        for line in sides
    )
    outcome = compare_recordings(old.recording, new.recording)
    assert outcome.counts == {}
    assert outcome.allowed.keys() <= {"client-resource", "free-port", "changed-stack"}


def test_every_sample_says_how_it_is_compared():
    samples = {path.parent.name for path in compare.SAMPLES.glob("*/before")}
    assert samples == set(compare.names())
