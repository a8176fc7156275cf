"""Same trace: every legacy sample under the shim equals itself under jaeger-client."""

from __future__ import annotations

import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.legacy import needs_jaeger_client

SAMPLES = Path(__file__).parents[2] / "samples"
JAEGER2OTLP = str(Path(sys.executable).parent / "jaeger2otlp")
# That one is an OpenTelemetry program already, for a release long before today's.
NOT_LEGACY = {"otel_exporter"}

samples = sorted(
    sample.name
    for sample in SAMPLES.iterdir()
    if (sample / "before" / "main.py").exists() and sample.name not in NOT_LEGACY
)


@pytest.fixture(scope="module")
def comparisons():
    """All at once: they mostly wait."""
    with ThreadPoolExecutor(max_workers=len(samples)) as pool:
        yield {sample: pool.submit(compare, sample) for sample in samples}


def compare(sample):
    before = [sys.executable, str(SAMPLES / sample / "before" / "main.py")]
    after = [JAEGER2OTLP, "run", "--", *before]
    return subprocess.run(
        [JAEGER2OTLP, "compare", shlex.join(before), shlex.join(after)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@needs_jaeger_client
@pytest.mark.parametrize("sample", samples)
def test_sample(sample, comparisons):
    done = comparisons[sample].result()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 spans before" not in done.stdout


def test_there_are_samples():
    assert len(samples) >= 8
