"""What every adapter's test has: telemetry in memory, and canaries that must not sing."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.bridge.adapters.canaries import Canaries, observing
from tests.servers.watchers import Telemetry

LAST = "test_no_secret_left_the_process_in_the_whole_run"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.name == LAST)


@pytest.fixture(scope="session", autouse=True)
def canaries() -> Iterator[Canaries]:
    """One search for the whole run: what a test exports may hold what another test made."""
    made = Canaries()
    with observing(made, lambda: os.environ.get("PYTEST_CURRENT_TEST", "").split(" ")[0]):
        yield made


@pytest.fixture(autouse=True)
def telemetry(canaries: Canaries, request: pytest.FixtureRequest) -> Iterator[Telemetry]:
    recorded = Telemetry()
    yield recorded
    for what, text in recorded.everything().items():
        canaries.exported(f"{what} of {request.node.nodeid}", text)
    recorded.close()
