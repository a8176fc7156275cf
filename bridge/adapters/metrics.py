"""What the adapters count instead of tracing: heartbeats, renewals, watch lag, lock wait."""

from __future__ import annotations

from opentelemetry import metrics

from bridge.adapters import conventions as c
from bridge.adapters.errors import AdapterError


class Meters:
    """The instruments of one adapter. Labels are the system and the error type, never a key."""

    def __init__(self, system: str, meter_provider: metrics.MeterProvider | None = None) -> None:
        meter = metrics.get_meter(
            f"bridge.adapters.{system}", meter_provider=meter_provider, schema_url=c.SCHEMA_URL
        )
        self._labels: dict[str, str] = {c.ADAPTER_SYSTEM: system}
        self._heartbeats = meter.create_counter(
            c.HEARTBEATS, "{heartbeat}", "Heartbeats and lease keepalives sent"
        )
        self._renewals = meter.create_counter(
            c.RENEWALS, "{renewal}", "Renewals of tokens, leases and credentials"
        )
        self._watch_lag = meter.create_histogram(
            c.WATCH_LAG, "s", "From the arrival of a change to the start of its callback"
        )
        self._watch_restarts = meter.create_counter(
            c.WATCH_RESTARTS, "{restart}", "Watches that had to begin again"
        )
        self._lock_wait = meter.create_histogram(c.LOCK_WAIT, "s", "Time waited for a lock")

    def heartbeat(self, error: AdapterError | None = None) -> None:
        self._heartbeats.add(1, self._outcome(error))

    def renewal(self, error: AdapterError | None = None) -> None:
        self._renewals.add(1, self._outcome(error))

    def watch_lag(self, seconds: float) -> None:
        self._watch_lag.record(seconds, self._labels)

    def watch_restart(self, error: AdapterError | None = None) -> None:
        self._watch_restarts.add(1, self._outcome(error))

    def lock_wait(self, seconds: float, *, acquired: bool) -> None:
        self._lock_wait.record(seconds, {**self._labels, c.LOCK_ACQUIRED: acquired})

    def _outcome(self, error: AdapterError | None) -> dict[str, str]:
        return {**self._labels, c.ERROR_TYPE: error.error_type} if error else self._labels
