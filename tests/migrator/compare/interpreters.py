"""The interpreter with the last OpenTelemetry that had Jaeger exporters."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PYTHON = Path(__file__).parents[3] / ".cache" / "opentelemetry-1.21" / "bin" / "python"


def old_opentelemetry() -> str:
    """Its path. Without it the test skips and says how to get it; in CI it fails."""
    if not PYTHON.exists():
        reason = f"{PYTHON} is missing; get it with: make .cache/opentelemetry-1.21/bin/python"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return str(PYTHON)
