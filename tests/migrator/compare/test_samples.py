"""Every sample shows the same trace before and after, or differs only where its file says why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from migrator.compare.plan import from_file
from samples import compare

READY = [name for name in compare.names() if (compare.SAMPLES / name / "after").is_dir()]


def old_interpreter(name: str) -> Path:
    plan = from_file(compare.SAMPLES / name / "compare.toml")
    return Path(plan.before.driver.command[0])


@pytest.mark.parametrize("name", READY)
def test_a_sample_is_equal_before_and_after(name: str):
    python = old_interpreter(name)
    if not python.exists():
        reason = f"{python} is missing; get it with: make compare"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    outcome = compare.compare(name)
    assert outcome.counts == {}
    assert outcome.unused == []
    assert outcome.before.spans


def test_every_sample_says_how_it_is_compared():
    samples = {path.parent.name for path in compare.SAMPLES.glob("*/before")}
    assert samples - compare.BY_HAND == set(compare.names())
