"""Prefork servers: many processes, one Prometheus registry in a folder, one of them pushes it.

prometheus_client's multiprocess mode keeps every process' numbers in files of
`PROMETHEUS_MULTIPROC_DIR`; anyone can add them up. Pushed by all, they would count several
times, so the processes agree through a lock on a file there. It falls to another when its holder
ends, however it ends. Beside it stand the time and the name that the sums are pushed under, the
same whoever pushes.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from pathlib import Path
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.multiprocess import MultiProcessCollector

from bridge.metrics.registry import collectors_of

try:
    import fcntl
except ImportError:  # Windows has no prefork servers either
    fcntl = None  # type: ignore[assignment]

LOCK_NAME = "metrics-bridge.lock"
STATE_NAME = "metrics-bridge.json"


def multiprocess_folder() -> str | None:
    """The folder of prometheus_client's multiprocess mode, where that is on."""
    names = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")  # prometheus_client takes both
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


def merged_registry(folder: str, local: Any) -> CollectorRegistry:
    """A registry of all processes' sums. The files keep no units: they come from `local`."""
    registry = CollectorRegistry()
    registry.register(_Merged(folder, local))
    return registry


class _Merged:
    def __init__(self, folder: str, local: Any) -> None:
        self._files = MultiProcessCollector(None, path=folder)  # type: ignore[no-untyped-call]
        self._local = local

    def collect(self) -> list[Family]:
        units = {
            getattr(c, "_name", None): getattr(c, "_unit", "")
            for c in collectors_of(self._local) or ()
        }
        families = list(self._files.collect())  # type: ignore[no-untyped-call]
        for family in families:
            family.unit = units.get(family.name) or ""
        return families


class Identity(NamedTuple):
    """Under what name and since when the sums are pushed."""

    instance_id: str
    start: int  # Unix nanoseconds


class Folder:
    """The agreement between the processes of one folder."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._lock: int | None = None

    def identity(self) -> Identity:
        """The same for all; made by the first who asks."""
        path = self._path / STATE_NAME
        try:
            return self._read(path)
        except (OSError, ValueError, KeyError):
            made = {"instance_id": str(uuid.uuid4()), "start": time.time_ns()}
            own = path.with_name(f"{STATE_NAME}.{os.getpid()}")
            own.write_text(json.dumps(made), "utf-8")
            try:
                os.link(own, path)  # fails when another was first
            except FileExistsError:
                pass
            finally:
                own.unlink()
            return self._read(path)

    def _read(self, path: Path) -> Identity:
        kept = json.loads(path.read_text("utf-8"))
        return Identity(str(kept["instance_id"]), int(kept["start"]))

    def leads(self) -> bool:
        """Whether this process is the one that pushes; it stays so until it ends."""
        if self._lock is not None:
            return True
        if fcntl is None:
            return False
        descriptor = os.open(self._path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._lock = descriptor
        return True

    def resign(self) -> None:
        """Lets another process push from now on."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # A child's copy of the descriptor would keep its parent's lock alive after the parent.
    after_fork_in_child = resign
