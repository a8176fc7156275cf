"""Every sample shows the same trace before and after, or differs only where its file says why."""

from __future__ import annotations

import pytest

from samples import compare
from tests.migrator.compare.interpreters import old_opentelemetry

READY = [name for name in compare.names() if (compare.SAMPLES / name / "after").is_dir()]


@pytest.mark.parametrize("name", READY)
def test_a_sample_is_equal_before_and_after(name: str):
    if name == "otel_exporter":
        old_opentelemetry()
    outcome = compare.compare(name)
    assert outcome.counts == {}
    assert outcome.unused == []
    assert outcome.before.spans


def test_every_sample_says_how_it_is_compared():
    samples = {path.parent.name for path in compare.SAMPLES.glob("*/before")}
    assert samples == set(compare.names())
