"""Every sample shows the same trace before and after, or differs only where its file says why."""

from __future__ import annotations

import pytest

from migrator.compare.comparison import compare_recordings
from migrator.compare.plan import from_file
from migrator.compare.sides import run_side
from samples import compare
from tests.legacy import needs_jaeger_client
from tests.migrator.compare.interpreters import old_opentelemetry


@needs_jaeger_client
@pytest.mark.parametrize("name", compare.names())
def test_a_sample_is_equal_before_and_after(name: str):
    if name == "otel_exporter":
        old_opentelemetry()
    plan = from_file(compare.SAMPLES / name / "compare.toml")
    before, after = run_side(plan.before), run_side(plan.after)
    outcome = compare_recordings(before.recording, after.recording, plan.rules)
    assert outcome.counts == {}
    assert outcome.unused == []
    assert outcome.before.spans


def test_every_sample_says_how_it_is_compared():
    samples = {path.parent.name for path in compare.SAMPLES.glob("*/before")}
    assert samples == set(compare.names())
