"""The sync HTTP client: the one place through which every call to Consul leaves."""

from __future__ import annotations

import contextlib
import functools
import socket
from collections.abc import Callable, MutableMapping
from typing import Any, cast
from weakref import WeakSet

import consul.std
import requests
from consul.base import Response
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from bridge.adapters import errors
from bridge.adapters.consul.model import ConsulSettings
from bridge.adapters.consul.wire import SYSTEM, Params, Wire, is_tls
from bridge.adapters.errors import AdapterError
from bridge.adapters.http import DirectSession
from bridge.adapters.redaction import Secret
from bridge.adapters.tracing import Tracing

# A peer that vanished without a word is noticed between answers too.
_KEEPALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), seconds)
        for name, seconds in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)
    ),
]


class Credentials:
    """The ACL token, shared by a connection and its watches."""

    def __init__(self) -> None:
        self.token: str | None = None

    def preferring(self, settings: ConsulSettings) -> Credentials:
        """The settings' token wins: py-consul prefers CONSUL_HTTP_TOKEN to the one it is given."""
        if isinstance(settings.token, Secret):
            self.token = settings.token.reveal()
        return self


class TracedConsul(consul.std.Consul):  # type: ignore[misc]
    """py-consul's client over our HTTP client.

    One that shares the `Credentials` of another is for background work: it makes no spans.
    """

    http: TracedHTTPClient

    def __init__(
        self, settings: ConsulSettings, tracing: Tracing, shared: Credentials | None = None
    ) -> None:
        self._settings = settings
        self._tracing = tracing
        self._traced = shared is None
        self.credentials = Credentials()
        super().__init__(**client_arguments(settings), connections_timeout=settings.timeout)
        self.credentials = shared or self.credentials.preferring(settings)

    @property
    def token(self) -> str | None:
        return self.credentials.token

    @token.setter
    def token(self, token: str | None) -> None:
        self.credentials.token = token

    def http_connect(
        self, host: str, port: int, scheme: str, verify: bool | str = True, cert: Any = None
    ) -> TracedHTTPClient:
        policy = self._settings.key_policy
        wire = Wire(self._tracing, policy, host, port, traced=self._traced)
        session = DirectSession(usual=self._tracing.transport_spans)
        seconds = self.connections_timeout
        return TracedHTTPClient(
            wire, session, host, port, scheme, verify, cert, connections_timeout=seconds
        )


def client_arguments(settings: ConsulSettings) -> dict[str, Any]:
    """What py-consul's constructors, sync and asyncio, are given."""
    certificate: Any = settings.certificate
    if settings.key:
        certificate = (settings.certificate, settings.key)
    return {
        "host": settings.host,
        "port": settings.port,
        "scheme": settings.scheme,
        "verify": settings.ca,
        "cert": certificate,
        "dc": settings.datacenter,
        "consistency": settings.consistency,
    }


class TracedHTTPClient(consul.std.HTTPClient):  # type: ignore[misc]
    """The one place through which every sync call leaves."""

    session: requests.Session
    base_uri: str

    def __init__(self, wire: Wire, session: DirectSession, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._wire = wire
        self._transport = _AbortableAdapter()
        self.session = session
        session.mount(f"{self.scheme}://", self._transport)

    def _write(
        self,
        method: str,
        callback: Callable[[Response], Any],
        path: str,
        params: Params | None = None,
        data: str | bytes = "",
        headers: MutableMapping[str, str] | None = None,
    ) -> Any:
        return self._send(method, callback, path, params, data, headers)

    def get(
        self,
        callback: Callable[[Response], Any],
        path: str,
        params: Params | None = None,
        headers: MutableMapping[str, str] | None = None,
        raw: bool = False,
    ) -> Any:
        return self._send("GET", callback, path, params, None, headers, raw)

    put = functools.partialmethod(_write, "PUT")
    delete = functools.partialmethod(_write, "DELETE")
    post = functools.partialmethod(_write, "POST")

    def abort(self) -> None:
        """Ends calls that are under way and refuses new ones."""
        self._transport.abort()
        self.session.close()

    close = abort

    def _send(
        self,
        method: str,
        callback: Callable[[Response], Any],
        path: str,
        params: Params | None,
        data: str | bytes | None,
        headers: MutableMapping[str, str] | None,
        raw: bool = False,
    ) -> Any:
        request, call = self._wire.begin(method, path, params, data, self._transport_error)
        with call:
            if self._transport.aborted:
                raise errors.Closed(f"{SYSTEM} {request.operation}")
            headers = {} if headers is None else headers
            call.inject(headers)
            answer = self.session.request(
                method,
                self.uri(path, params),
                headers=headers,
                data=data,
                verify=self.verify,
                cert=self.cert,
                timeout=(self.connections_timeout, self.timeout(params)),
                allow_redirects=False,  # the token would go along
            )
            return self._wire.finish(request, call, self.response(answer, raw), callback)

    def _transport_error(self, error: BaseException) -> type[AdapterError] | None:
        if self._transport.aborted and isinstance(error, (OSError, ValueError)):
            return errors.Closed
        if isinstance(error, requests.Timeout):
            return errors.DeadlineExceeded
        if isinstance(error, (requests.exceptions.InvalidURL, UnicodeError)):
            return errors.InvalidRequest
        if isinstance(error, OSError):  # every RequestException is one
            return errors.TlsRefused if is_tls(error) else errors.Unavailable
        return None


class _AbortableAdapter(HTTPAdapter):
    """Knows its open sockets, so that a blocked read can be ended from another thread."""

    def __init__(self) -> None:
        self.aborted = False
        self._sockets: WeakSet[socket.socket] = WeakSet()
        super().__init__()

    def abort(self) -> None:
        self.aborted = True
        for one in list(self._sockets):
            _shut(one)

    def opened(self, one: socket.socket) -> None:
        self._sockets.add(one)
        if self.aborted:  # meanwhile
            _shut(one)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, socket_options=_KEEPALIVE, **kwargs)
        pools = {"http": HTTPConnectionPool, "https": HTTPSConnectionPool}
        self.poolmanager.pool_classes_by_scheme = {
            scheme: _telling(pool, self.opened) for scheme, pool in pools.items()
        }


def _telling(pool: type[HTTPConnectionPool], opened: Callable[[socket.socket], None]) -> type[Any]:
    """The pool class, with connections that tell when their socket is open."""
    kind = cast("type[HTTPConnection]", pool.ConnectionCls)

    class Connection(kind):  # type: ignore[misc, valid-type]
        def connect(self) -> None:
            super().connect()
            opened(self.sock)

    return type(pool.__name__, (pool,), {"ConnectionCls": Connection})


def _shut(one: socket.socket) -> None:
    """Wakes whoever reads from the socket; TLS or not, from any thread."""
    with contextlib.suppress(OSError):  # it may have ended by itself
        socket.socket.shutdown(one, socket.SHUT_RDWR)
