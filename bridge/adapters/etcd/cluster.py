"""What a connection to one etcd cluster knows without doing any input or output.

Endpoints and their channels, credentials, spans, and what may be repeated at another endpoint;
shared by the sync and the asyncio connection. The generated stubs are aetcd's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import grpc
from aetcd import rpc
from opentelemetry import context as context_api
from opentelemetry import metrics, trace

from bridge.adapters import conventions as c
from bridge.adapters.errors import AdapterError, Closed, TlsRefused, Unauthenticated, Unavailable
from bridge.adapters.etcd.errors import Unreachable, from_rpc
from bridge.adapters.metrics import Meters
from bridge.adapters.redaction import KeyPolicy, Secret, key_prefix
from bridge.adapters.tracing import Call, Tracing

DEFAULT_TIMEOUT_SECONDS = 5.0
MAX_MESSAGE_BYTES = 64 * 1024 * 1024

CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # What may be repeated is decided here (`Attempts`); gRPC's own retries cost a tenth of a call.
    ("grpc.enable_retries", 0),
    # A peer that hangs is noticed by pings; etcd allows one every 5 s.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)

# "KV.Put", "Lease.LeaseGrant": the service's stub and its method.
Method: TypeAlias = str
Metadata: TypeAlias = tuple[tuple[str, str], ...]
_CallSpan = TypeVar("_CallSpan", bound="CallSpan")


@dataclass(frozen=True)
class Tls:
    """PEM files: the CA that signed the servers' certificates and, for mTLS, the client's own."""

    ca: str | Path
    certificate: str | Path | None = None
    key: str | Path | None = None

    def credentials(self) -> Any:
        return grpc.ssl_channel_credentials(*map(_read, (self.ca, self.key, self.certificate)))


def _read(path: str | Path | None) -> bytes | None:
    return Path(path).read_bytes() if path else None


class Endpoint:
    """One server: its address, its channel (made by `grpc` or `grpc.aio`), its stubs."""

    def __init__(self, transport: Any, address: str, credentials: Any) -> None:
        self.host, _, port = address.rpartition(":")
        self.port = int(port)
        self.channel = (
            transport.secure_channel(address, credentials, CHANNEL_OPTIONS)
            if credentials
            else transport.insecure_channel(address, CHANNEL_OPTIONS)
        )
        stubs = {
            "KV": rpc.KVStub(self.channel),
            "Lease": rpc.LeaseStub(self.channel),
            "Watch": rpc.WatchStub(self.channel),
            "Auth": rpc.AuthStub(self.channel),
        }
        self.methods: Mapping[Method, Any] = {
            f"{service}.{name}": method
            for service, stub in stubs.items()
            for name, method in vars(stub).items()
        }


class Cluster:
    """The endpoints, the settings and the spans of a connection.

    `endpoints` are host:port. `timeout` is the seconds one call may take, failover included.
    `key_policy` says what spans may show of a key (its first folder by default, never values).

    A read is tried on the next endpoint when one is unreachable. A write is, only when it was
    certainly not sent: etcd could have taken it otherwise, and it would be done twice.
    """

    # What a subclass for asyncio replaces.
    transport: Any = grpc
    lock: Any = threading.Lock

    def __init__(
        self,
        endpoints: Sequence[str] = ("127.0.0.1:2379",),
        *,
        tls: Tls | None = None,
        user: str | None = None,
        password: str | Secret | None = None,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
        key_policy: KeyPolicy | None = None,
        transport_spans: bool = False,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        if not endpoints:
            raise ValueError("at least one endpoint (host:port) is wanted")
        credentials = tls.credentials() if tls else None
        self.timeout = timeout
        self.tracing = Tracing(
            "etcd", tracer_provider=tracer_provider, transport_spans=transport_spans
        )
        self.meters = Meters("etcd", meter_provider)
        self.endpoints = [Endpoint(self.transport, it, credentials) for it in endpoints]
        self._current = 0
        self._key_policy = key_policy or key_prefix()
        self.user = user
        self._password = password if isinstance(password, Secret) else Secret(password or "")
        self.token: Secret | None = None
        self.authenticating = self.lock()
        self.closed = False

    @property
    def endpoint(self) -> Endpoint:
        """The one that is used now."""
        return self.endpoints[self._current]

    def begin(
        self, operation: str, key: str, attributes: Mapping[str, Any] | None
    ) -> tuple[Call, Endpoint]:
        """One operation as a CLIENT span, named by the operation and what the key policy shows."""
        endpoint = self.endpoint
        name = operation
        described: dict[str, Any] = {
            c.DB_SYSTEM_NAME: "etcd",
            c.DB_OPERATION_NAME: operation,
            c.SERVER_ADDRESS: endpoint.host,
            c.SERVER_PORT: endpoint.port,
        }
        if key and (shown := self._key_policy(key)):
            described[c.ETCD_KEY] = shown
            name = f"{operation} {shown}"
        if attributes:
            described.update(attributes)
        return self.tracing.call(name, described), endpoint

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Background traffic: no spans of ours, none of a gRPC instrumentation."""
        context = context_api.set_value("suppress_instrumentation", True)
        token = context_api.attach(context)
        try:
            yield
        finally:
            context_api.detach(token)

    def login(self) -> Any:
        return rpc.AuthenticateRequest(name=self.user, password=self._password.reveal())

    def failure(self, operation: str, error: BaseException) -> AdapterError:
        """Ours for what gRPC raised."""
        if self.closed or not isinstance(error, grpc.RpcError):
            return Closed(operation)
        return from_rpc(operation, error)

    def stream_failed(self, operation: str, error: BaseException | None) -> AdapterError:
        """The error of a broken stream (None: it just ended); the next one is opened elsewhere."""
        if error is None and not self.closed:
            failure: AdapterError = Unavailable(operation)
        else:
            failure = self.failure(operation, error or Closed(operation))
        if isinstance(failure, Unauthenticated):
            self.token = None
        self.fail_over(self.endpoint)
        return failure

    def fail_over(self, failed: Endpoint) -> None:
        if self.endpoint is failed:
            self._current = (self._current + 1) % len(self.endpoints)

    def __repr__(self) -> str:
        addresses = ", ".join(f"{e.host}:{e.port}" for e in self.endpoints)
        return f"{type(self).__name__}({addresses})"


class Attempts:
    """The tries of one request: until when, and whether there is another after a failure."""

    def __init__(self, cluster: Cluster, timeout: float | None, *, idempotent: bool) -> None:
        self._cluster = cluster
        self._idempotent = idempotent
        self._deadline = time.monotonic() + (cluster.timeout if timeout is None else timeout)
        self._endpoints_left = len(cluster.endpoints)
        self._logged_in_anew = False

    @property
    def seconds(self) -> float:
        return max(self._deadline - time.monotonic(), 0.001)

    def another(self, endpoint: Endpoint, error: AdapterError) -> bool:
        if isinstance(error, Unauthenticated):
            if self._logged_in_anew or self._cluster.user is None:
                return False
            self._logged_in_anew = True
            self._cluster.token = None
            return True
        if not isinstance(error, Unavailable):
            return False
        self._cluster.fail_over(endpoint)
        self._endpoints_left -= 1
        if not self._endpoints_left or time.monotonic() >= self._deadline:
            return False
        return self._idempotent or isinstance(error, (Unreachable, TlsRefused))


class CallSpan:
    """One traced operation, for a `with`: may take several requests, all with its context."""

    def __init__(self, operation: str, call: Call, endpoint: Endpoint) -> None:
        self.operation = operation
        self.metadata: Metadata = call.metadata()
        self.set: Callable[[str, Any], None] = call.set
        self._call = call
        self._endpoint = endpoint  # whom the span names

    def __enter__(self: _CallSpan) -> _CallSpan:
        self._call.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._call.__exit__(*exception)

    def failed(self, error: AdapterError) -> None:
        if error.code:
            self.set(c.DB_RESPONSE_STATUS_CODE, error.code)

    def answered(self, answer: Any, endpoint: Endpoint) -> None:
        self.set(c.DB_RESPONSE_STATUS_CODE, "OK")
        self.set(c.ETCD_REVISION, answer.header.revision)
        if endpoint is not self._endpoint:
            self._endpoint = endpoint
            self.set(c.SERVER_ADDRESS, endpoint.host)
            self.set(c.SERVER_PORT, endpoint.port)
