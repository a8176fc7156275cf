"""What every adapter's test has: telemetry in memory, and canaries that must not sing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.watchers import Canaries, Telemetry


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    recorded = Telemetry()
    yield recorded
    recorded.close()


@pytest.fixture
def canaries(telemetry: Telemetry) -> Iterator[Canaries]:
    """Secrets made here are searched for when the test ends."""
    made = Canaries(telemetry)
    yield made
    made.check()
