"""What the adapters raise: few types, one fixed text each, never a word of the server's answer.

Servers and clients repeat secrets in their error texts (session ids, whole response bodies,
parts of passwords), so an adapter's error carries the operation, a code and our own text.
"""

from __future__ import annotations

from typing import ClassVar


class AdapterError(Exception):
    """A call to Consul, etcd or Vault failed.

    `operation` is what was tried ("consul kv get"), `code` what the server or the transport said
    ("403", "UNAVAILABLE"; empty when it said nothing). `error_type` is the `error.type` of spans
    and metrics: the code, or the name of the class.
    """

    text: ClassVar[str] = "the call failed"
    retryable: ClassVar[bool] = False
    expected: ClassVar[bool] = False  # an answer rather than a failure: the span stays unset

    def __init__(self, operation: str = "", *, code: str = "") -> None:
        self.operation = operation
        self.code = code
        subject = f"{operation}: " if operation else ""
        super().__init__(f"{subject}{self.text}" + (f" ({code})" if code else ""))

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.operation, self.code)

    @property
    def error_type(self) -> str:
        return self.code or type(self).__name__


def _rebuild(kind: type[AdapterError], operation: str, code: str) -> AdapterError:
    return kind(operation, code=code)


class Unavailable(AdapterError):
    """Nobody answers: refused, reset, no leader, shutting down."""

    text = "the server cannot be reached or cannot serve now"
    retryable = True


class DeadlineExceeded(Unavailable, TimeoutError):
    """No answer in time: the server hangs, or has no quorum."""

    text = "no answer within the timeout"


class TlsRefused(Unavailable):
    """The TLS handshake failed."""

    text = "the TLS handshake failed: check the CA, the client certificate and the host name"


class Sealed(Unavailable):
    """Vault is sealed."""

    text = "the server is sealed"


class Unauthenticated(AdapterError):
    """The token or password is missing, wrong or expired."""

    text = "not authenticated: the credentials are missing, wrong or expired"


class Forbidden(AdapterError):
    """The server knows the caller and does not let it do this."""

    text = "permission denied: the token's policy does not allow this"


class NotFound(AdapterError):
    """No such key, service, secret or lease."""

    text = "not found"
    expected = True


class Deleted(NotFound):
    """It was there and has been deleted."""

    text = "deleted"


class Conflict(AdapterError):
    """Somebody else changed it first (compare-and-set, transaction)."""

    text = "the value has changed meanwhile; read it again and retry"
    expected = True


class InvalidRequest(AdapterError):
    """The server refuses the request as such."""

    text = "the server refuses the request as invalid"


class LimitExceeded(InvalidRequest):
    """Too big, or too many operations at once."""

    text = "too big or too many at once for the server"


class RateLimited(Unavailable):
    """The server asks for fewer calls."""

    text = "too many requests"


class LeaseLost(AdapterError):
    """The lease or session behind a registration, lock or credential is gone."""

    text = "the lease or session has expired or was revoked"


class ServerFailed(AdapterError):
    """The server failed inside (5xx), or answered what nobody understands."""

    text = "the server failed"
    retryable = True


class Closed(AdapterError):
    """Used after `close()`."""

    text = "already closed"


class Unexpected(AdapterError):
    """A fault of ours or of the client library; the log has its type and place."""

    text = "an unexpected error"
    retryable = True
