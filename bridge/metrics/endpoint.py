"""The Prometheus endpoint: a WSGI app, an ASGI app, and a small server on a port of its own."""

from __future__ import annotations

import asyncio
import errno
import gzip
import socket
import socketserver
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from bridge.metrics.exposition import Format
from bridge.metrics.negotiate import accepts_gzip, choose_format

Render = Callable[[Format, frozenset[str]], bytes]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]
Headers = list[tuple[str, str]]

CLIENT_SECONDS = 30.0
ALLOW = ("Allow", "GET, HEAD, OPTIONS")


class PortInUse(OSError):
    """Another program, or another worker of this one, listens on the metrics port."""


class Endpoint:
    """Answers scrapes with what `render` gives for a format and the sample names asked for."""

    def __init__(self, render: Render) -> None:
        self._render = _Shared(render)

    def wsgi(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Mount it at a path of a Flask or Django application."""
        status, headers, body = self._answer(
            environ.get("REQUEST_METHOD", "GET"),
            environ.get("QUERY_STRING", ""),
            environ.get("HTTP_ACCEPT", ""),
            environ.get("HTTP_ACCEPT_ENCODING", ""),
        )
        start_response(status, headers)
        return [body]

    async def asgi(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        """Mount it at a path of a FastAPI, Starlette or Django application."""
        if scope.get("type") != "http":
            return
        given = {name.lower(): value.decode("latin-1") for name, value in scope.get("headers", ())}
        status, headers, body = await asyncio.to_thread(
            self._answer,
            scope.get("method", "GET"),
            scope.get("query_string", b"").decode("latin-1"),
            given.get(b"accept", ""),
            given.get(b"accept-encoding", ""),
        )
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
        code = int(status.split()[0])
        await send({"type": "http.response.start", "status": code, "headers": encoded})
        await send({"type": "http.response.body", "body": body})

    def serve(self, host: str, port: int) -> Server:
        """Starts a server; raises `PortInUse`, which says what to do, or another OSError."""
        return Server(self.wsgi, host, port)

    def after_fork(self) -> None:
        self._render.after_fork()

    def _answer(
        self, method: str, query: str, accept: str, encoding: str
    ) -> tuple[str, Headers, bytes]:
        if method == "OPTIONS":
            return "200 OK", [ALLOW, ("Content-Length", "0")], b""
        if method not in {"GET", "HEAD"}:
            return "405 Method Not Allowed", [ALLOW, ("Content-Length", "0")], b""
        format_ = choose_format(accept)
        names = frozenset(parse_qs(query, max_num_fields=1000).get("name[]", ()))
        body = self._render(format_, names)
        headers = [("Content-Type", format_.content_type), ("Vary", "Accept, Accept-Encoding")]
        if accepts_gzip(encoding):
            body = gzip.compress(body, compresslevel=1)
            headers.append(("Content-Encoding", "gzip"))
        headers.append(("Content-Length", str(len(body))))
        return "200 OK", headers, b"" if method == "HEAD" else body


class _Shared:
    """Lets scrapes that wait at the same time have one rendering.

    It begins after the last of them arrived, so no scrape shows what was before it; and fifty
    scrapers at once cost the work and the memory of one or two.
    """

    def __init__(self, render: Render) -> None:
        self._render = render
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._waiting = 0
        self._made: dict[tuple[Format, frozenset[str]], tuple[float, bytes]] = {}

    def __call__(self, format_: Format, names: frozenset[str]) -> bytes:
        arrived, key = time.monotonic(), (format_, names)
        self._count(1)
        with self._lock:
            try:
                made = self._made.get(key)
                if made is None or made[0] < arrived:
                    began = time.monotonic()
                    made = self._made[key] = (began, self._render(format_, names))
                return made[1]
            finally:
                if not self._count(-1):
                    self._made.clear()

    def _count(self, change: int) -> int:
        with self._counting:
            self._waiting += change
            return self._waiting

    def after_fork(self) -> None:
        self._lock, self._counting, self._waiting = threading.Lock(), threading.Lock(), 0
        self._made.clear()


class _Handler(WSGIRequestHandler):
    timeout = CLIENT_SECONDS

    def log_message(self, format: str, *args: Any) -> None:
        """Scrapes are no news."""


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A scraper that went away in the middle is no news either."""

    def server_bind(self) -> None:
        # HTTPServer looks up the host's full name here, which can take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()


class Server:
    """A server in a daemon thread; `port` tells where when 0 was asked for."""

    def __init__(self, app: Any, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        made = type("_MetricsServer", (_Server,), {"address_family": family})
        try:
            self._server = made((host, port), _Handler)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise PortInUse(
                error.errno,
                f"port {port} on {host} is taken. Choose another port (port=0 takes a free one), "
                "or mount wsgi_app or asgi_app in the application, as prefork servers need it",
            ) from None
        self._server.set_app(app)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            args=(0.05,),  # seconds until a shutdown is noticed
            name="metrics-endpoint",
            daemon=True,
        )
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def close_in_child(self) -> None:
        """After a fork: the parent goes on listening, this process does not."""
        self._server.socket.close()
