"""Colours and progress only where a terminal wants them: seen in a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from tests.migrator.cli import LEGACY


def in_terminal(folder, *arguments: str, **env: str) -> str:
    """What a person would see: both streams of a command in a pseudo-terminal."""
    ours, theirs = pty.openpty()
    clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "CI")}
    with subprocess.Popen(
        [sys.executable, "-m", "migrator", *arguments],
        cwd=folder,
        env={**clean, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm-256color", **env},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ):
        os.close(theirs)
        seen = b""
        try:
            while block := os.read(ours, 65536):
                seen += block
        except OSError:
            pass  # Linux says so at the end
    os.close(ours)
    return seen.decode()


@pytest.fixture
def project(tmp_path):
    for number in range(30):
        (tmp_path / f"app{number}.py").write_text(LEGACY)
    return tmp_path


def test_diff_is_coloured(project):
    assert "\x1b[32m+    with tracer.start_as_current_span" in in_terminal(project, "migrate", ".")


def test_no_color(project):
    assert "\x1b[3" not in in_terminal(project, "migrate", ".", NO_COLOR="1")


def test_progress_is_shown_for_many_files_and_gone_afterwards(project):
    seen = in_terminal(project, "migrate", "--check", ".")
    assert "30/30" in seen
    assert "0/?" not in seen
    assert "\x1b[2K" in seen  # the line was cleared
