"""The web side of the Python peers: one handler, which gets headers and query and gives JSON."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Query = Mapping[str, list[str]]


def serve(call: Callable[[dict[str, str], Query], dict[str, Any]]) -> None:
    """Answers GET with what `call(headers, query)` returns, on the port PEER_PORT."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = call(dict(self.headers.items()), parse_qs(urlsplit(self.path).query))
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PEER_PORT"])), Handler).serve_forever()


def get(url: str, headers: Mapping[str, str]) -> Any:
    """The JSON that a GET with these headers brings; not urllib, which rewrites header names."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}", headers=dict(headers))
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()
