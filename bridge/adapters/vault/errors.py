"""What Vault's HTTP answers mean, as the adapters' errors.

The texts of Vault are looked at here and shown nowhere: they repeat paths, ids, whole bodies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests
from hvac.exceptions import VaultError

from bridge.adapters import errors

_BY_STATUS: dict[int, type[errors.AdapterError]] = {
    400: errors.InvalidRequest,
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    404: errors.NotFound,
    405: errors.InvalidRequest,
    412: errors.Unavailable,  # a standby that has not caught up
    413: errors.LimitExceeded,
    429: errors.RateLimited,
    472: errors.Unavailable,
    473: errors.Unavailable,
    501: errors.Unavailable,  # not initialised
    502: errors.Unavailable,
    503: errors.Unavailable,
    504: errors.Unavailable,
}

# Where the status alone does not tell.
_BY_TEXT: tuple[tuple[int, str, type[errors.AdapterError]], ...] = (
    (503, "sealed", errors.Sealed),
    (400, "check-and-set", errors.Conflict),
    (400, "lease not found", errors.LeaseLost),
    (400, "lease expired", errors.LeaseLost),
    (400, "invalid role or secret", errors.Unauthenticated),
    (400, "invalid role id", errors.Unauthenticated),
    (400, "invalid secret id", errors.Unauthenticated),
    (400, "missing client token", errors.Unauthenticated),
    (403, "invalid token", errors.Unauthenticated),
)

# When there was no answer, or one that cannot be read; the first that fits.
_BY_EXCEPTION: tuple[tuple[type[BaseException], type[errors.AdapterError]], ...] = (
    (requests.exceptions.SSLError, errors.TlsRefused),
    (requests.exceptions.Timeout, errors.DeadlineExceeded),
    (requests.exceptions.ConnectionError, errors.Unavailable),
    (requests.exceptions.RequestException, errors.ServerFailed),
)


def keep_status(error: VaultError, status: int) -> None:
    """hvac's exceptions leave the HTTP status out."""
    error.http_status = status


def status_of(error: VaultError) -> int:
    """The HTTP status that `keep_status` noted; 0 without one."""
    return int(getattr(error, "http_status", 0))


def from_exception(operation: str, error: BaseException) -> errors.AdapterError | None:
    """The adapter's error for what hvac or requests raised; None for anything else."""
    if isinstance(error, VaultError):
        return _from_answer(operation, error, status_of(error))
    for kind, ours in _BY_EXCEPTION:
        if isinstance(error, kind):
            return ours(operation)
    return None


def _from_answer(operation: str, error: VaultError, status: int) -> errors.AdapterError:
    if status == 404 and _was_deleted(getattr(error, "json", None)):
        return errors.Deleted(operation, code="404")
    parts = [str(part) for part in getattr(error, "errors", None) or ()]
    text = " ".join([*parts, str(getattr(error, "text", "") or "")]).lower()
    kind = next(
        (kind for when, part, kind in _BY_TEXT if when == status and part in text),
        _BY_STATUS.get(status, errors.ServerFailed),
    )
    return kind(operation, code=str(status))


def _was_deleted(body: Any) -> bool:
    """KV version 2 answers 404 with the metadata of a version that was deleted or destroyed."""
    data = body.get("data") if isinstance(body, Mapping) else None
    metadata = data.get("metadata") if isinstance(data, Mapping) else None
    if not isinstance(metadata, Mapping):
        return False
    return bool(metadata.get("deletion_time") or metadata.get("destroyed"))
