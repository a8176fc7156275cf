"""All peers are built side by side while the first tests run."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.peers.build import PEERS, build


@pytest.fixture(scope="session", autouse=True)
def builds() -> Iterator[None]:
    """What goes wrong is told to the test that needs the peer: it asks `build` again."""
    pool = ThreadPoolExecutor(len(PEERS))
    for name in PEERS:
        pool.submit(build, name)
    yield
    pool.shutdown(cancel_futures=True)
