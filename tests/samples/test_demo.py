"""`make demo`: a diff, a run, a tree of spans; Ctrl-C leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def start(folder: Path, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "samples.demo"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.mark.timeout(240)
def test_shows_a_diff_and_the_spans_of_the_migrated_program(tmp_path):
    process = start(tmp_path, FORCE_COLOR="1", COLUMNS="200")
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert "\x1b[32m+    with tracer.start_as_current_span('say-hello') as span:" in output
    assert "println" in output
    assert "└──" in output
    assert "The legacy program's 3 spans were the same." in output
    assert os.listdir(tmp_path) == []


def test_ctrl_c_ends_it_cleanly(tmp_path):
    process = start(tmp_path)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in output
    assert os.listdir(tmp_path) == []
