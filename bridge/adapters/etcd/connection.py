"""A connection to one etcd cluster: several endpoints, TLS, authentication, deadlines, tracing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

import grpc
from aetcd import rpc

from bridge.adapters.errors import AdapterError
from bridge.adapters.etcd.cluster import (
    Attempts,
    CallSpan,
    Cluster,
    Endpoint,
    Metadata,
    Method,
)
from bridge.adapters.redaction import Secret

# What the stubs raise; ValueError is a closed channel's.
RAISED = (grpc.RpcError, ValueError)


class EtcdConnection(Cluster):
    """One cluster. Thread-safe; a context manager; `close` ends its calls and watches.

    The arguments are those of `Cluster`.
    """

    # --- calls

    def traced(
        self, operation: str, key: str = "", attributes: Mapping[str, Any] | None = None
    ) -> EtcdCall:
        """`with connection.traced("put", key) as call:` around the requests of one operation."""
        return EtcdCall(self, operation, *self.begin(operation, key, attributes))

    def invoke(
        self,
        operation: str,
        method: Method,
        request: Any,
        *,
        metadata: Metadata = (),
        timeout: float | None = None,
        idempotent: bool = False,
    ) -> tuple[Any, Endpoint]:
        """One request without a span: the answer, and who gave it. Raises `AdapterError`."""
        attempts = Attempts(self, timeout, idempotent=idempotent)
        while True:
            endpoint = self.endpoint
            try:
                answer = self._once(
                    operation, endpoint, method, request, metadata, attempts.seconds
                )
            except AdapterError as error:
                if not attempts.another(endpoint, error):
                    raise
            else:
                return answer, endpoint

    def _once(
        self,
        operation: str,
        endpoint: Endpoint,
        method: Method,
        request: Any,
        metadata: Metadata,
        seconds: float,
    ) -> Any:
        credentials = self._auth_metadata(endpoint, seconds)
        try:
            return endpoint.methods[method](
                request, timeout=seconds, metadata=(*metadata, *credentials)
            )
        except RAISED as error:
            failure = self.failure(operation, error)
        raise failure

    def keep_alive(self, lease: int, timeout: float) -> int:
        """Renews a lease once, on a stream of its own; the seconds it has, 0 if it is gone."""
        failure: AdapterError | None = None
        try:
            answers = self.endpoint.methods["Lease.LeaseKeepAlive"](
                iter([rpc.LeaseKeepAliveRequest(ID=lease)]),
                timeout=timeout,
                metadata=self._auth_metadata(self.endpoint, timeout),
            )
            answer = next(answers)
            answers.cancel()
        except StopIteration:
            failure = self.stream_failed("lease keepalive", None)
        except RAISED as error:
            failure = self.stream_failed("lease keepalive", error)
        if failure is not None:
            raise failure
        return int(answer.TTL)

    def stream(self, method: Method, requests: Iterator[Any], timeout: float | None = None) -> Any:
        """Opens a bidirectional stream on the current endpoint; the caller cancels it."""
        endpoint = self.endpoint
        # etcd ends a stream on a member that has lost its leader only when asked to.
        metadata = (("hasleader", "true"), *self._auth_metadata(endpoint, self.timeout))
        return endpoint.methods[method](requests, timeout=timeout, metadata=metadata)

    # --- authentication

    def _auth_metadata(self, endpoint: Endpoint, timeout: float) -> Metadata:
        if self.user is None:
            return ()
        with self.authenticating:
            if self.token is None:
                self.token = self._authenticate(endpoint, timeout)
            return (("token", self.token.reveal()),)

    def _authenticate(self, endpoint: Endpoint, timeout: float) -> Secret:
        try:
            answer = endpoint.methods["Auth.Authenticate"](self.login(), timeout=timeout)
        except RAISED as error:
            failure = self.failure("authenticate", error)
        else:
            return Secret(answer.token)
        raise failure

    # --- the end

    def close(self) -> None:
        """Ends every call and stream of this connection. Safe to call twice."""
        self.closed = True
        for endpoint in self.endpoints:
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


class EtcdCall(CallSpan):
    """`CallSpan` whose requests block."""

    def __init__(
        self, connection: EtcdConnection, operation: str, call: Any, endpoint: Endpoint
    ) -> None:
        super().__init__(operation, call, endpoint)
        self._connection = connection

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
                metadata=self.metadata,
                timeout=timeout,
                idempotent=idempotent,
            )
        except AdapterError as error:
            self.failed(error)
            raise
        self.answered(answer, endpoint)
        return answer
