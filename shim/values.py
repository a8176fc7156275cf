"""Any Python value as something every exporter can send: no value raises and none loses a batch."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, TypeAlias

logger = logging.getLogger("jaeger_tracing")

Scalar: TypeAlias = str | bool | int | float

_INT64_MAX = 2**63 - 1
_LATEST_NS = 2**63 - 1


def text(value: Any, limit: int | None = None) -> str:
    """`str(value)` cut at `limit` characters; lone surrogates become `?`, errors their message."""
    try:
        made = value if type(value) is str else str(value)
    except Exception as error:  # noqa: BLE001 - a __str__ of the application's may raise anything
        made = _error_text(value, error)
    if limit is not None and len(made) > limit:
        made = made[:limit]
    if not made.isascii():
        made = made.encode("utf-8", "replace").decode("utf-8")
    # a str subclass could be anything; str.__str__ of an exact str is itself
    return made if type(made) is str else str.__str__(made)


def scalar(value: Any, limit: int, traceback_limit: int) -> Any:
    """A tag value as jaeger-client 4.8 recorded it: str, bool, int and float keep their type,
    a traceback is formatted, everything else is its `str()`."""
    kind: Any = type(value)
    if kind is str:
        return value if len(value) <= limit and value.isascii() else text(value, limit)
    if kind is bool or kind is float:
        return value
    if kind is int:
        return value if -_INT64_MAX <= value <= _INT64_MAX else text(value, limit)
    return _unusual(value, limit, traceback_limit)


def _unusual(value: Any, limit: int, traceback_limit: int) -> Any:
    if isinstance(value, TracebackType):
        return text(_format_traceback(value), traceback_limit)
    try:
        if type(value).__name__ == "bool":  # numpy's
            return bool(value)
        if isinstance(value, int):
            return scalar(int(value), limit, traceback_limit)
        if isinstance(value, float):
            return float(value)
    except Exception as error:  # noqa: BLE001 - __class__, __int__ and __float__ may raise
        return text(_error_text(value, error), limit)
    return text(value, limit)


def any_value(value: Any, limit: int) -> Any:
    """An OpenTelemetry attribute value: as `scalar`, but bytes stay and sequences become tuples."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(scalar(item, limit, limit) for item in value)
    return scalar(value, limit, limit)


def fields(key_values: Any, limit: int, traceback_limit: int) -> dict[str, Scalar]:
    """The fields of a log; what is no mapping becomes the field `message`."""
    if not isinstance(key_values, Mapping):
        return {} if key_values is None else {"message": text(key_values, limit)}
    return {
        key if type(key) is str and key.isascii() else text(key): scalar(
            value, limit, traceback_limit
        )
        for key, value in tuple(key_values.items())
    }


def seconds(moment: Any) -> float:
    """Unix seconds of an explicit start, finish or log time; now if it is none or nonsense."""
    if type(moment) is float and 0.0 < moment < 1e10:
        return moment
    if moment is None:
        return time.time()
    try:
        given = float(moment)
    except Exception:  # noqa: BLE001 - a datetime, a string, anything
        given = float("nan")
    if given == 0.0:  # jaeger-client's `start_time or time.time()`
        return time.time()
    if not -1e10 < given < 1e10:
        logger.warning("Not a unix time in seconds, the current time is used: %s", text(moment, 80))
        return time.time()
    return max(given, 0.0)


def nanoseconds(moment: float) -> int:
    """Unix seconds as OTLP wants them. Times before 1970 become 0."""
    try:
        return min(max(int(moment * 1e9), 0), _LATEST_NS)
    except (TypeError, ValueError, OverflowError):
        return 0


def _format_traceback(value: TracebackType) -> str:
    try:
        return "".join(traceback.format_tb(value))
    except Exception as error:  # noqa: BLE001 - the source may be gone or undecodable
        return _error_text(value, error)


def _error_text(value: Any, error: Exception) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001
        return f"<{type(value).__name__} whose text cannot be had>"
