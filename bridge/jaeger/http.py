"""A small HTTP server for strangers: bounded in connections, bodies and patience."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import socket
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

logger = logging.getLogger(__name__)

MAX_CONNECTIONS = 64
MAX_BODY_BYTES = 4 * 1024 * 1024  # before and after gzip
REQUEST_SECONDS = 20.0  # for a whole request, from its first byte to the answer
IDLE_SECONDS = 60.0  # between requests of a kept connection
POLL_SECONDS = 0.1
CLOSE_SECONDS = 3.0  # for requests under way
CHUNK_BYTES = 64 * 1024
MAX_TRAILERS = 20
_is_hex = re.compile(rb"[0-9a-fA-F]{1,8}").fullmatch


@dataclass(frozen=True)
class Request:
    """A complete request; `body` is already out of its gzip."""

    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    peer: str


@dataclass(frozen=True)
class Answer:
    """`body` is bytes with their own content type, or an object for JSON."""

    status: int = HTTPStatus.OK
    body: Any = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """A request ends with an error. `reason` is a fixed word for metrics."""

    def __init__(self, status: int, reason: str, text: str) -> None:
        super().__init__(text)
        self.status, self.reason = status, reason


Route = Callable[[Request], Answer]
Refuse = Callable[[str, str, Exception | None], None]  # reason, the client's address, our error


class _Client(NamedTuple):
    deadline: float
    busy: bool


class HttpServer(ThreadingHTTPServer):
    """Serves `routes`, which maps (method, path) to a function, until `close`.

    `refused` is called for each request or connection that gets no proper answer.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        host: str,
        port: int,
        routes: Mapping[tuple[str, str], Route],
        refused: Refuse = lambda reason, peer, error: None,
        name: str = "http",
    ) -> None:
        """Raises OSError when the port cannot be had."""
        self.address_family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        self.routes, self.refused = routes, refused
        self.body_lock = threading.Lock()  # one body at a time is unpacked and decoded
        self.closing = False
        self._clients: dict[socket.socket, _Client] = {}
        self._lock = threading.Lock()
        super().__init__((host, port), _Handler)
        self._thread = threading.Thread(
            target=self.serve_forever,
            kwargs={"poll_interval": POLL_SECONDS},
            name=name,
            daemon=True,
        )
        self._thread.start()

    @property
    def number(self) -> int:
        """The port."""
        return int(self.server_address[1])

    def close(self) -> None:
        """Stops listening, ends idle connections, and waits a little for requests under way."""
        self.closing = True
        self.shutdown()
        self.server_close()
        with self._lock:
            for connection, client in self._clients.items():
                if not client.busy:
                    _shut(connection, socket.SHUT_RD)
        deadline = time.monotonic() + CLOSE_SECONDS
        while self._clients and time.monotonic() < deadline:
            time.sleep(0.01)

    def expect(self, connection: socket.socket, seconds: float, *, busy: bool) -> None:
        """From now on the client has so many seconds for what it is at."""
        with self._lock:
            if connection in self._clients:
                self._clients[connection] = _Client(time.monotonic() + seconds, busy)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            room = len(self._clients) < MAX_CONNECTIONS
            if room:
                self._clients[request] = _Client(time.monotonic() + REQUEST_SECONDS, busy=False)
        if room:
            super().process_request(request, client_address)
        else:
            self.refused("connections", client_address[0], None)
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._clients.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Ends the connections of clients that take too long (called every poll interval)."""
        now = time.monotonic()
        with self._lock:
            for connection, client in self._clients.items():
                if now > client.deadline:
                    _shut(connection, socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away, or were sent away, are no news."""
        logger.debug("HTTP connection from %s ended", client_address[0], exc_info=True)


def _shut(connection: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):  # gone already
        connection.shutdown(how)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = IDLE_SECONDS
    server_version, sys_version = "jaeger2otlp", ""
    server: HttpServer

    def handle_one_request(self) -> None:
        self.server.expect(self.connection, IDLE_SECONDS, busy=False)
        super().handle_one_request()

    def parse_request(self) -> bool:
        self.server.expect(self.connection, REQUEST_SECONDS, busy=True)
        return super().parse_request()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The base class calls this for what it cannot read as a request."""
        self.server.refused("http", self.client_address[0], None)
        super().send_error(code, HTTPStatus(code).phrase)

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        try:
            url = urlsplit(self.path)
            route = self._route(url.path)
            raw = self._body()
            with self.server.body_lock:
                body = _inflated(raw, self.headers.get("Content-Encoding", ""))
                del raw
                query = parse_qs(url.query, keep_blank_values=True, max_num_fields=20)
                headers = {name.lower(): value for name, value in self.headers.items()}
                peer = self.client_address[0]
                answer = route(Request(url.path, query, headers, body, peer))
        except Refused as error:
            answer = self._refuse(error.reason, error.status, f"{error}\n")
        except ValueError:
            answer = self._refuse("http", HTTPStatus.BAD_REQUEST, "malformed request\n")
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 (logged, at most once a minute)
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            answer = self._refuse("error", status, "an unexpected error\n", error)
        self._send(answer)

    def _refuse(
        self, reason: str, status: int, text: str, error: Exception | None = None
    ) -> Answer:
        self.close_connection = True  # there may be more of the body
        self.server.refused(reason, self.client_address[0], error)
        return Answer(status, text.encode())

    def _route(self, path: str) -> Route:
        route = self.server.routes.get((self.command, path))
        if route:
            return route
        if any(path == known for _, known in self.server.routes):
            raise Refused(405, "method", f"{path} does not take {self.command}")
        paths = ", ".join(sorted({known for _, known in self.server.routes}))
        raise Refused(404, "path", f"nothing here; try {paths}")

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._chunked_body()
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit()):
            raise Refused(400, "http", "a Content-Length is wanted")
        if len(length) > 9 or int(length) > MAX_BODY_BYTES:
            raise Refused(413, "too-large", f"more than {MAX_BODY_BYTES} bytes")
        return self._exactly(int(length))

    def _exactly(self, size: int) -> bytes:
        body = bytearray()
        while len(body) < size:
            part = self.rfile.read1(min(size - len(body), CHUNK_BYTES))
            if not part:
                raise Refused(400, "cut", "the body ended early")
            body += part
        return bytes(body)

    def _chunked_body(self) -> bytes:
        body = bytearray()
        while size := self._chunk_size():
            if len(body) + size > MAX_BODY_BYTES:
                raise Refused(413, "too-large", f"more than {MAX_BODY_BYTES} bytes")
            body += self._exactly(size)
            self._exactly(2)
        for _ in range(MAX_TRAILERS):
            if not self.rfile.readline(1024).strip():
                break
        return bytes(body)

    def _chunk_size(self) -> int:
        line = self.rfile.readline(1024).partition(b";")[0].strip()
        if not _is_hex(line):
            raise Refused(400, "http", "a malformed chunk")
        return int(line, 16)

    def _send(self, answer: Answer) -> None:
        self.close_connection = self.close_connection or self.server.closing
        body, kind = answer.body, answer.content_type
        if not isinstance(body, bytes):
            body, kind = json.dumps(body).encode(), "application/json"
        self.send_response(answer.status)
        if body:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what clients send does not belong in a log."""


def _inflated(body: bytes, encoding: str) -> bytes:
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"}:
        return body
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        raise Refused(415, "encoding", "Content-Encoding: gzip, deflate or none")
    unpacker = zlib.decompressobj(wbits=47)  # gzip or zlib, by its first bytes
    try:
        out = unpacker.decompress(body, MAX_BODY_BYTES + 1)
    except zlib.error:
        raise Refused(400, "encoding", "the body is not what its Content-Encoding says") from None
    if len(out) > MAX_BODY_BYTES:
        raise Refused(413, "too-large", f"more than {MAX_BODY_BYTES} bytes out of gzip")
    if not unpacker.eof:
        raise Refused(400, "encoding", "the body ended early")
    return out
