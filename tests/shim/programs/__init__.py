"""Programs that the tests start as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
BLOCKED = HERE / "blocked"

# What a developer's shell may have set must not reach the programs.
_OURS = ("OTEL_", "JAEGER")


def environment(**extra: str) -> dict[str, str]:
    """The environment of a machine without jaeger-client, plus `extra`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_OURS)}
    return {**kept, "PYTHONPATH": str(BLOCKED), **extra}


def python(*arguments: str, timeout: float = 60, **extra: str) -> subprocess.CompletedProcess[str]:
    """Runs Python to its end; fails with its output when that is not 0."""
    return command(sys.executable, *arguments, timeout=timeout, **extra)


def command(*words: str, timeout: float = 60, **extra: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        words,
        env=environment(**extra),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done
