"""The asyncio HTTP client: the one place through which every call to Consul leaves."""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import aiohttp
import consul.aio
from consul.base import HTTPClient, Response
from consul.std import DEFAULT_WAIT, parse_duration

from bridge.adapters import errors
from bridge.adapters.consul.client import Credentials, client_arguments
from bridge.adapters.consul.model import ConsulSettings
from bridge.adapters.consul.wire import SYSTEM, Params, Wire, is_tls
from bridge.adapters.errors import AdapterError
from bridge.adapters.tracing import Tracing


class AsyncTracedConsul(consul.aio.Consul):  # type: ignore[misc]
    """py-consul's asyncio client over our HTTP client; as `TracedConsul`."""

    http: AsyncTracedHTTPClient

    def __init__(
        self, settings: ConsulSettings, tracing: Tracing, shared: Credentials | None = None
    ) -> None:
        self._settings = settings
        self._tracing = tracing
        self._traced = shared is None
        self.credentials = Credentials()
        super().__init__(**client_arguments(settings))
        self.credentials = shared or self.credentials.preferring(settings)

    @property
    def token(self) -> str | None:
        return self.credentials.token

    @token.setter
    def token(self, token: str | None) -> None:
        self.credentials.token = token

    def http_connect(
        self, host: str, port: int, scheme: str, verify: bool | str = True, cert: Any = None
    ) -> AsyncTracedHTTPClient:
        policy = self._settings.key_policy
        wire = Wire(self._tracing, policy, host, port, traced=self._traced)
        return AsyncTracedHTTPClient(wire, self._settings.timeout, host, port, scheme, verify, cert)


class AsyncTracedHTTPClient(HTTPClient):  # type: ignore[misc]
    """The one place through which every asyncio call leaves. Its session opens at first use."""

    base_uri: str

    def __init__(self, wire: Wire, timeout: float, *args: Any) -> None:
        super().__init__(*args)
        self._wire = wire
        self._timeout = timeout
        self._closed = False
        self._session: aiohttp.ClientSession | None = None

    def _write(
        self,
        method: str,
        callback: Callable[[Response], Any],
        path: str,
        params: Params | None = None,
        data: str | bytes = "",
        headers: MutableMapping[str, str] | None = None,
        connections_timeout: float | None = None,
    ) -> Awaitable[Any]:
        return self._send(method, callback, path, params, data, headers, connections_timeout)

    def get(
        self,
        callback: Callable[[Response], Any],
        path: str,
        params: Params | None = None,
        headers: MutableMapping[str, str] | None = None,
        raw: bool = False,
        connections_timeout: float | None = None,
    ) -> Awaitable[Any]:
        return self._send("GET", callback, path, params, None, headers, connections_timeout, raw)

    put = functools.partialmethod(_write, "PUT")
    delete = functools.partialmethod(_write, "DELETE")
    post = functools.partialmethod(_write, "POST")

    async def close(self) -> None:
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def _send(
        self,
        method: str,
        callback: Callable[[Response], Any],
        path: str,
        params: Params | None,
        data: str | bytes | None,
        headers: MutableMapping[str, str] | None,
        timeout: float | None = None,
        raw: bool = False,
    ) -> Any:
        request, call = self._wire.begin(method, path, params, data, self._transport_error)
        with call:
            if self._closed:
                raise errors.Closed(f"{SYSTEM} {request.operation}")
            headers = {} if headers is None else headers
            call.inject(headers)
            async with self._open().request(
                method,
                self.uri(path, params),
                headers=headers,
                data=data,
                timeout=self._deadline(params, timeout),
                allow_redirects=False,
            ) as answer:
                body = await answer.read() if raw else await answer.text("utf-8")
            response = Response(answer.status, answer.headers, body)
            return self._wire.finish(request, call, response, callback)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            context: ssl.SSLContext | bool = True
            if self.scheme == "https":
                context = _ssl_context(self.verify, self.cert)
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))
        return self._session

    def _deadline(self, params: Params | None, timeout: float | None) -> aiohttp.ClientTimeout:
        # aiohttp's own default, 300 s in all, is shorter than Consul's default wait.
        total = timeout or self._timeout
        given = dict(params or ())
        if "index" in given:
            wait = parse_duration(given["wait"]) if "wait" in given else DEFAULT_WAIT
            total += wait + wait / 16
        return aiohttp.ClientTimeout(total=total, sock_connect=self._timeout)

    def _transport_error(self, error: BaseException) -> type[AdapterError] | None:
        if self._closed and isinstance(error, (OSError, RuntimeError, aiohttp.ClientError)):
            return errors.Closed
        if isinstance(error, (asyncio.TimeoutError, TimeoutError)):
            return errors.DeadlineExceeded
        if isinstance(error, (aiohttp.InvalidURL, UnicodeError)):
            return errors.InvalidRequest
        if isinstance(error, (OSError, aiohttp.ClientError)):
            return errors.TlsRefused if is_tls(error) else errors.Unavailable
        return None


def _ssl_context(verify: bool | str, certificate: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if isinstance(certificate, tuple):
        context.load_cert_chain(*certificate)
    elif certificate:
        context.load_cert_chain(certificate)
    return context
