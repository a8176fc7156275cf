"""What went wrong while telemetry was carried: counted always, logged once each."""

from __future__ import annotations

import logging
import threading
from collections import Counter

logger = logging.getLogger("bridge.metrics")
MOST_SUBJECTS = 1000


class Problems:
    """Counts by kind ("collector failed", "points dropped", ...). Any thread may report."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._logged: set[tuple[str, str]] = set()

    def report(self, kind: str, subject: str, detail: object = "", count: int = 1) -> None:
        """`subject` is what it happened to; the first time for each is logged as a warning."""
        with self._lock:
            self._counts[kind] += count
            key = (kind, subject)
            if key in self._logged or len(self._logged) >= MOST_SUBJECTS:
                return
            self._logged.add(key)
        logger.warning(
            "metrics: %s: %s%s (logged once)", kind, subject, f": {detail}" if detail else ""
        )

    def settle(self, kind: str, subject: str) -> None:
        """It works again: says so, and logs the next time anew."""
        with self._lock:
            if (kind, subject) not in self._logged:
                return
            self._logged.discard((kind, subject))
        logger.warning("metrics: no more: %s: %s", kind, subject)

    def counts(self) -> dict[str, int]:
        with self._lock:
            return dict(self._counts)

    def after_fork(self) -> None:
        """A lock that another thread held at the fork would stay locked for ever."""
        self._lock = threading.Lock()
