"""Which error etcd's answers become, where the gRPC code alone does not tell."""

from __future__ import annotations

import pytest

from bridge.adapters import errors
from bridge.adapters.etcd.errors import Compacted, Unreachable, from_status, from_watch_cancel


@pytest.mark.parametrize(
    ("code", "details", "kind"),
    [
        ("UNKNOWN", "context deadline exceeded", errors.DeadlineExceeded),
        ("UNKNOWN", "anything else", errors.ServerFailed),
        ("UNAVAILABLE", "etcdserver: no leader", errors.Unavailable),
        ("UNAVAILABLE", "failed to connect to all addresses; Connection refused", Unreachable),
        ("UNAVAILABLE", "Ssl handshake failed", errors.TlsRefused),
        (
            "INVALID_ARGUMENT",
            "etcdserver: duplicate key given in txn request",
            errors.InvalidRequest,
        ),
        (
            "INVALID_ARGUMENT",
            "etcdserver: too many operations in txn request",
            errors.LimitExceeded,
        ),
        ("NOT_FOUND", "etcdserver: requested lease not found", errors.LeaseLost),
        ("OUT_OF_RANGE", "mvcc: required revision has been compacted", Compacted),
    ],
)
def test_a_status_becomes(code: str, details: str, kind: type[errors.AdapterError]) -> None:
    error = from_status("put", code, details)
    assert type(error) is kind
    assert error.code == code
    assert details not in str(error)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("etcdserver: permission denied", errors.Forbidden),
        (
            "rpc error: code = PermissionDenied desc = etcdserver: permission denied",
            errors.Forbidden,
        ),
        ("etcdserver: invalid auth token", errors.Unauthenticated),
        ("etcdserver: no leader", errors.Unavailable),
        ("", errors.ServerFailed),
    ],
)
def test_a_cancelled_watch_becomes(reason: str, kind: type[errors.AdapterError]) -> None:
    assert type(from_watch_cancel("watch", reason)) is kind
