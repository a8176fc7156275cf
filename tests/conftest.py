"""What holds for every test of the suite."""

from __future__ import annotations

import pytest

# In these folders real programs are started and waited for. On a busy machine one may be too slow
# once; it is tried again, and pytest's summary names it. Tests elsewhere are never repeated.
REAL_PROGRAMS = ("bridge", "migrator/compare", "peers", "samples", "servers", "shim")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    folders = tuple(str(config.rootpath / "tests" / name) for name in REAL_PROGRAMS)
    for item in items:
        if str(item.path).startswith(folders):
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=1))
