"""Which registry is carried: the given one, or in a prefork server the sums of all processes."""

from __future__ import annotations

import time
from threading import Lock
from typing import Any

from prometheus_client import Counter, Gauge, Histogram, Summary
from prometheus_client.metrics_core import Metric as Family

from bridge.metrics.multiprocess import Folder, merged_registry, multiprocess_folder
from bridge.metrics.problems import Problems, logger
from bridge.metrics.registry import SafeRegistry, carries_opentelemetry, collectors_of
from bridge.metrics.walk import is_plain, proven

INSTANCE_ID = "service.instance.id"


class Source:
    """The registry that is carried: the given one, or the sums of all processes."""

    def __init__(self, registry: Any, problems: Problems, collect_seconds: float) -> None:
        self.registry = registry
        self.start = 0
        self.identity: dict[str, str] = {}
        path = multiprocess_folder()
        self.folder = Folder(path) if path else None
        if path and self.folder:
            self.start, self.identity = _shared_identity(self.folder)
            registry = merged_registry(path, registry)
        self.safe = SafeRegistry(registry, problems, collect_seconds)

    def leads(self) -> bool:
        try:
            return self.folder is None or self.folder.leads()
        except OSError:
            return False

    def resign(self) -> None:
        if self.folder is not None:
            self.folder.resign()

    def after_fork_in_child(self) -> None:
        self.safe.after_fork()
        if self.folder is not None:
            self.folder.after_fork_in_child()

    def forget_counts(self) -> None:
        """In a forked child: the parent reports what it counted. The folder's files see to it
        themselves."""
        if self.folder is None:
            _zero(self.registry)

    def collect(self) -> tuple[list[Family], list[Any]]:
        """The families to be converted, and the instruments that the walk reads."""
        if not proven():
            return list(self.safe.collect()), []
        plain = [
            c
            for c in collectors_of(self.safe.registry) or ()
            if is_plain(c) and not carries_opentelemetry(c)
        ]
        walked = set(map(id, plain))
        return list(self.safe.collect(skip=lambda c: id(c) in walked)), plain


def _shared_identity(folder: Folder) -> tuple[int, dict[str, str]]:
    try:
        shared = folder.identity()
    except (OSError, ValueError, KeyError):
        logger.warning("metrics: %s cannot be shared between processes", folder)
        return time.time_ns(), {}
    return shared.start, {INSTANCE_ID: shared.instance_id}


def _zero(registry: Any) -> None:
    """Sets the counters of a forked child to zero, and gives instruments locks of its own.

    Another thread of the parent may have held any of them at the fork.
    """
    if not proven():
        logger.warning("metrics: a forked process repeats what its parent counted")
        return
    registry._lock = Lock()
    for collector in collectors_of(registry) or ():
        if type(collector) not in {Counter, Gauge, Histogram, Summary}:
            continue
        children = [collector]
        if collector._labelnames:
            collector._lock = Lock()
            children = list(collector._metrics.values())
        for child in children:
            if isinstance(child, Gauge):
                child._value._lock = Lock()
            else:
                child._metric_init()
