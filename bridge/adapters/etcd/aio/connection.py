"""`EtcdConnection` for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import grpc
import grpc.aio
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

# What the stubs raise; UsageError is a closed channel's, CancelledError that of a closing one.
RAISED = (grpc.RpcError, grpc.aio.UsageError, asyncio.CancelledError)


class AsyncEtcdConnection(Cluster):
    """One cluster; an async context manager; `close` ends its calls and watches.

    The arguments are those of `Cluster`.
    """

    transport = grpc.aio
    lock = asyncio.Lock

    # --- calls

    def traced(
        self, operation: str, key: str = "", attributes: Mapping[str, Any] | None = None
    ) -> AsyncEtcdCall:
        """`with connection.traced("put", key) as call:` around the requests of one operation."""
        return AsyncEtcdCall(self, operation, *self.begin(operation, key, attributes))

    async def invoke(
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
                answer = await self._once(
                    operation, endpoint, method, request, metadata, attempts.seconds
                )
            except AdapterError as error:
                if not attempts.another(endpoint, error):
                    raise
            else:
                return answer, endpoint

    async def _once(
        self,
        operation: str,
        endpoint: Endpoint,
        method: Method,
        request: Any,
        metadata: Metadata,
        seconds: float,
    ) -> Any:
        credentials = await self._auth_metadata(endpoint, seconds)
        try:
            return await endpoint.methods[method](
                request, timeout=seconds, metadata=(*metadata, *credentials)
            )
        except RAISED as error:
            self.pass_on_cancellation(error)
            failure = self.failure(operation, error)
        raise failure

    async def keep_alive(self, lease: int, timeout: float) -> int:
        """Renews a lease once, on a stream of its own; the seconds it has, 0 if it is gone."""
        answers: Any = None
        try:
            answers = self.endpoint.methods["Lease.LeaseKeepAlive"](
                iter([rpc.LeaseKeepAliveRequest(ID=lease)]),
                timeout=timeout,
                metadata=await self._auth_metadata(self.endpoint, timeout),
            )
            answer = await answers.read()
        except RAISED as error:
            self.pass_on_cancellation(error)
            failure = self.stream_failed("lease keepalive", error)
        else:
            if answer is not grpc.aio.EOF:
                return int(answer.TTL)
            failure = self.stream_failed("lease keepalive", None)
        finally:
            if answers is not None:
                answers.cancel()
        raise failure

    async def stream(self, method: Method, request: Any, timeout: float | None = None) -> Any:
        """Opens a stream with one request on the current endpoint; the caller cancels it."""
        endpoint = self.endpoint
        # etcd ends a stream on a member that has lost its leader only when asked to.
        metadata = (("hasleader", "true"), *await self._auth_metadata(endpoint, self.timeout))
        return endpoint.methods[method](iter([request]), timeout=timeout, metadata=metadata)

    def pass_on_cancellation(self, error: BaseException) -> None:
        """Raises it, unless it came from the closing channel and not from the task's canceller."""
        if isinstance(error, asyncio.CancelledError) and (not self.closed or _is_cancelled()):
            raise error

    # --- authentication

    async def _auth_metadata(self, endpoint: Endpoint, timeout: float) -> Metadata:
        if self.user is None:
            return ()
        async with self.authenticating:
            if self.token is None:
                self.token = await self._authenticate(endpoint, timeout)
            return (("token", self.token.reveal()),)

    async def _authenticate(self, endpoint: Endpoint, timeout: float) -> Secret:
        try:
            answer = await endpoint.methods["Auth.Authenticate"](self.login(), timeout=timeout)
        except RAISED as error:
            self.pass_on_cancellation(error)
            failure = self.failure("authenticate", error)
        else:
            return Secret(answer.token)
        raise failure

    # --- the end

    async def close(self) -> None:
        """Ends every call and stream of this connection. Safe to call twice."""
        self.closed = True
        for endpoint in self.endpoints:
            await endpoint.channel.close()

    async def __aenter__(self) -> AsyncEtcdConnection:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()


def _is_cancelled() -> bool:
    """Whether somebody asked this task to end; before Python 3.11 nobody knows: assume it."""
    task = asyncio.current_task()
    cancelling = getattr(task, "cancelling", None)
    return bool(cancelling()) if cancelling else True


class AsyncEtcdCall(CallSpan):
    """`CallSpan` whose requests are awaited."""

    def __init__(
        self, connection: AsyncEtcdConnection, operation: str, call: Any, endpoint: Endpoint
    ) -> None:
        super().__init__(operation, call, endpoint)
        self._connection = connection

    async def invoke(
        self,
        method: Method,
        request: Any,
        *,
        timeout: float | None = None,
        idempotent: bool = False,
    ) -> Any:
        try:
            answer, endpoint = await self._connection.invoke(
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
