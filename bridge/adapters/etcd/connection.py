"""A connection to one etcd cluster: several endpoints, TLS, authentication, deadlines, tracing.

The generated stubs are aetcd's; the channels, the failover and the errors are ours. Every
endpoint has a channel of its own, so that a span can say which one answered.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import grpc
from aetcd import rpc
from opentelemetry import context as context_api
from opentelemetry import metrics, trace

from bridge.adapters import conventions as c
from bridge.adapters.errors import (
    AdapterError,
    Closed,
    TlsRefused,
    Unauthenticated,
    Unavailable,
)
from bridge.adapters.etcd.errors import Unreachable, from_rpc
from bridge.adapters.metrics import Meters
from bridge.adapters.redaction import KeyPolicy, Secret, key_prefix
from bridge.adapters.tracing import Call, Tracing

DEFAULT_TIMEOUT_SECONDS = 5.0
MAX_MESSAGE_BYTES = 64 * 1024 * 1024

CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
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


class _Endpoint:
    """One server: its address, its channel, its stubs."""

    def __init__(self, address: str, credentials: Any) -> None:
        self.host, _, port = address.rpartition(":")
        self.port = int(port)
        self.channel = (
            grpc.secure_channel(address, credentials, CHANNEL_OPTIONS)
            if credentials
            else grpc.insecure_channel(address, CHANNEL_OPTIONS)
        )
        self._stubs = {
            "KV": rpc.KVStub(self.channel),
            "Lease": rpc.LeaseStub(self.channel),
            "Watch": rpc.WatchStub(self.channel),
            "Auth": rpc.AuthStub(self.channel),
        }

    def method(self, name: Method) -> Any:
        service, _, method = name.partition(".")
        return getattr(self._stubs[service], method)


class EtcdConnection:
    """One cluster. Thread-safe; a context manager; `close` ends its calls and watches.

    `endpoints` are host:port. `timeout` is the seconds one call may take, failover included.
    `key_policy` says what spans may show of a key (its first folder by default, never values).

    A read is tried on the next endpoint when one is unreachable. A write is, only when it was
    certainly not sent: etcd could have taken it otherwise, and it would be done twice.
    """

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
        self._endpoints = [_Endpoint(address, credentials) for address in endpoints]
        self._current = 0
        self._key_policy = key_policy or key_prefix()
        self._user = user
        self._password = password if isinstance(password, Secret) else Secret(password or "")
        self._token: Secret | None = None
        self._authenticating = threading.Lock()
        self._closed = False

    # --- calls

    @contextmanager
    def traced(
        self, operation: str, key: str = "", attributes: Mapping[str, Any] | None = None
    ) -> Iterator[EtcdCall]:
        """One operation as a CLIENT span, named by the operation and what the key policy shows."""
        shown = self._key_policy(key) if key else None
        endpoint = self._endpoints[self._current]
        with self.tracing.call(
            f"{operation} {shown}" if shown else operation,
            {
                c.DB_SYSTEM_NAME: "etcd",
                c.DB_OPERATION_NAME: operation,
                c.SERVER_ADDRESS: endpoint.host,
                c.SERVER_PORT: endpoint.port,
                **({c.ETCD_KEY: shown} if shown else {}),
                **(attributes or {}),
            },
        ) as call:
            yield EtcdCall(self, operation, call, endpoint)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Background traffic: no spans of ours, none of a gRPC instrumentation."""
        context = context_api.set_value("suppress_instrumentation", True)
        token = context_api.attach(context)
        try:
            yield
        finally:
            context_api.detach(token)

    def invoke(
        self,
        operation: str,
        method: Method,
        request: Any,
        *,
        metadata: Metadata = (),
        timeout: float | None = None,
        idempotent: bool = False,
    ) -> tuple[Any, _Endpoint]:
        """One request without a span: the answer, and who gave it. Raises `AdapterError`."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        renewed = False
        for attempt in range(len(self._endpoints) + 1):
            endpoint = self._endpoints[self._current]
            try:
                return self._once(operation, endpoint, method, request, metadata, deadline)
            except Unauthenticated:
                if renewed or self._user is None:
                    raise
                renewed = True
                self._token = None
            except Unavailable as error:
                self._fail_over(endpoint)
                last = attempt >= len(self._endpoints) - 1 or time.monotonic() >= deadline
                if last or not (idempotent or isinstance(error, (Unreachable, TlsRefused))):
                    raise
        raise Unavailable(operation)

    def _once(
        self,
        operation: str,
        endpoint: _Endpoint,
        method: Method,
        request: Any,
        metadata: Metadata,
        deadline: float,
    ) -> tuple[Any, _Endpoint]:
        left = max(deadline - time.monotonic(), 0.001)
        credentials = self._auth_metadata(endpoint, left)
        try:
            answer = endpoint.method(method)(
                request, timeout=left, metadata=(*metadata, *credentials)
            )
        except (grpc.RpcError, ValueError) as error:
            failure = self._failure(operation, error)
        else:
            return answer, endpoint
        raise failure

    def keep_alive(self, lease: int, timeout: float) -> int:
        """Renews a lease once, on a stream of its own; the seconds it has, 0 if it is gone."""
        endpoint = self._endpoints[self._current]
        failure: AdapterError | None = None
        try:
            answers = endpoint.method("Lease.LeaseKeepAlive")(
                iter([rpc.LeaseKeepAliveRequest(ID=lease)]),
                timeout=timeout,
                metadata=self._auth_metadata(endpoint, timeout),
            )
            answer = next(answers)
            answers.cancel()
        except (grpc.RpcError, ValueError, StopIteration) as error:
            failure = self.stream_failed("lease keepalive", error)
        if failure is not None:
            raise failure
        return int(answer.TTL)

    def stream(self, method: Method, requests: Iterator[Any], timeout: float | None = None) -> Any:
        """Opens a bidirectional stream on the current endpoint; the caller cancels it."""
        endpoint = self._endpoints[self._current]
        # etcd ends a stream on a member that has lost its leader only when asked to.
        metadata = (("hasleader", "true"), *self._auth_metadata(endpoint, self.timeout))
        return endpoint.method(method)(requests, timeout=timeout, metadata=metadata)

    def stream_failed(self, operation: str, error: Exception) -> AdapterError:
        """The error of a broken stream; the next one is opened on the next endpoint."""
        failure = self._failure(operation, error)
        if isinstance(failure, Unauthenticated):
            self._token = None
        self._fail_over(self._endpoints[self._current])
        return failure

    def _failure(self, operation: str, error: Exception) -> AdapterError:
        if self._closed or isinstance(error, ValueError):
            return Closed(operation)
        if isinstance(error, StopIteration):
            return Unavailable(operation)
        return from_rpc(operation, error)

    def _fail_over(self, failed: _Endpoint) -> None:
        if self._endpoints[self._current] is failed:
            self._current = (self._current + 1) % len(self._endpoints)

    # --- authentication

    def _auth_metadata(self, endpoint: _Endpoint, timeout: float) -> Metadata:
        if self._user is None:
            return ()
        with self._authenticating:
            if self._token is None:
                self._token = self._authenticate(endpoint, timeout)
            return (("token", self._token.reveal()),)

    def _authenticate(self, endpoint: _Endpoint, timeout: float) -> Secret:
        request = rpc.AuthenticateRequest(name=self._user, password=self._password.reveal())
        try:
            answer = endpoint.method("Auth.Authenticate")(request, timeout=timeout)
        except (grpc.RpcError, ValueError) as error:
            failure = self._failure("authenticate", error)
        else:
            return Secret(answer.token)
        raise failure

    # --- the end

    def close(self) -> None:
        """Ends every call and stream of this connection. Safe to call twice."""
        self._closed = True
        for endpoint in self._endpoints:
            endpoint.channel.close()

    def __enter__(self) -> EtcdConnection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace_: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        addresses = ", ".join(f"{e.host}:{e.port}" for e in self._endpoints)
        return f"EtcdConnection({addresses})"


class EtcdCall:
    """One traced operation: may take several requests, all with its context."""

    def __init__(
        self, connection: EtcdConnection, operation: str, call: Call, endpoint: _Endpoint
    ) -> None:
        self._connection = connection
        self._endpoint = endpoint  # whom the span names
        self.operation = operation
        self._metadata = call.metadata()
        self.set: Callable[[str, Any], None] = call.set

    def invoke(
        self,
        method: Method,
        request: Any,
        *,
        timeout: float | None = None,
        idempotent: bool = False,
    ) -> Any:
        try:
            answer, endpoint = self._connection.invoke(
                self.operation,
                method,
                request,
                metadata=self._metadata,
                timeout=timeout,
                idempotent=idempotent,
            )
        except AdapterError as error:
            if error.code:
                self.set(c.DB_RESPONSE_STATUS_CODE, error.code)
            raise
        self.set(c.DB_RESPONSE_STATUS_CODE, "OK")
        self.set(c.ETCD_REVISION, answer.header.revision)
        if endpoint is not self._endpoint:
            self._endpoint = endpoint
            self.set(c.SERVER_ADDRESS, endpoint.host)
            self.set(c.SERVER_PORT, endpoint.port)
        return answer
