"""What etcd's gRPC answers mean, as the adapters' errors."""

from __future__ import annotations

from typing import Any

from bridge.adapters import errors


class Unreachable(errors.Unavailable):
    """No connection could be made: the request was certainly not sent."""

    text = "no connection to the server"


class Compacted(errors.NotFound):
    """The revision asked for is older than what etcd keeps."""

    text = "the revision has been compacted away"


class LockBusy(errors.Conflict):
    """Somebody else holds the lock."""

    text = "the lock is held by somebody else"


class NotHeld(errors.LeaseLost):
    """The lock or the leadership is not held (any more)."""

    text = "not held: it was never acquired, was released, or its lease is gone"


_BY_CODE: dict[str, type[errors.AdapterError]] = {
    "UNAVAILABLE": errors.Unavailable,
    "DEADLINE_EXCEEDED": errors.DeadlineExceeded,
    "UNAUTHENTICATED": errors.Unauthenticated,
    "PERMISSION_DENIED": errors.Forbidden,
    "RESOURCE_EXHAUSTED": errors.LimitExceeded,
    "NOT_FOUND": errors.NotFound,
    "INVALID_ARGUMENT": errors.InvalidRequest,
    "FAILED_PRECONDITION": errors.InvalidRequest,
    "OUT_OF_RANGE": errors.InvalidRequest,
    "CANCELLED": errors.Closed,
}

# Where the code alone does not tell. etcd's texts are constants (api/v3rpc/rpctypes/error.go);
# they are looked at here and shown nowhere.
_BY_TEXT: tuple[tuple[str, str, type[errors.AdapterError]], ...] = (
    ("UNAVAILABLE", "ssl", errors.TlsRefused),
    ("UNAVAILABLE", "tls", errors.TlsRefused),
    ("UNAVAILABLE", "handshake", errors.TlsRefused),
    ("UNAVAILABLE", "failed to connect", Unreachable),
    # The server may notice our deadline before we do, and has no code for it then.
    ("UNKNOWN", "context deadline exceeded", errors.DeadlineExceeded),
    ("INVALID_ARGUMENT", "authentication failed", errors.Unauthenticated),
    ("INVALID_ARGUMENT", "user name is empty", errors.Unauthenticated),
    ("INVALID_ARGUMENT", "revision of auth store is old", errors.Unauthenticated),
    ("INVALID_ARGUMENT", "too many operations", errors.LimitExceeded),
    ("INVALID_ARGUMENT", "request is too large", errors.LimitExceeded),
    ("NOT_FOUND", "lease not found", errors.LeaseLost),
    ("OUT_OF_RANGE", "compacted", Compacted),
)


def from_rpc(operation: str, error: Any) -> errors.AdapterError:
    """The adapter's error for a `grpc.RpcError`."""
    return from_status(operation, error.code().name, error.details() or "")


def from_status(operation: str, code: str, details: str) -> errors.AdapterError:
    """The adapter's error for a gRPC status code's name and its text."""
    text = details.lower()
    kind = next(
        (kind for when, part, kind in _BY_TEXT if when == code and part in text),
        _BY_CODE.get(code, errors.ServerFailed),
    )
    return kind(operation, code=code)


def from_watch_cancel(operation: str, reason: str) -> errors.AdapterError:
    """The error of a watch that the server cancelled; the reason has no status code."""
    text = reason.lower()
    if "permission denied" in text:
        return errors.Forbidden(operation, code="PERMISSION_DENIED")
    if "invalid auth token" in text:
        return errors.Unauthenticated(operation, code="UNAUTHENTICATED")
    if "no leader" in text:
        return errors.Unavailable(operation, code="UNAVAILABLE")
    return errors.ServerFailed(operation, code="CANCELLED")
