"""Asks a Jaeger sampling endpoint for a service's strategy, within bounds of size and time."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any
from urllib.parse import urlencode, urlsplit

TIMEOUT_SECONDS = 15.0
MAX_BODY_BYTES = 4 * 1024 * 1024
_CHUNK = 64 * 1024


class SamplingError(Exception):
    """No usable answer from the sampling endpoint; the text says which and why."""


class SamplingClient:
    """GET `endpoint?service=...`. An endpoint without a path gets `/sampling`.

    http.client and not urllib: no proxy between a service and its agent, no redirects, and no
    spans from instrumentations that patch urllib. Raises ValueError for an endpoint that is no
    http(s) URL.
    """

    def __init__(self, endpoint: str, service_name: str) -> None:
        parts = urlsplit(endpoint if "://" in endpoint else f"http://{endpoint}")
        connect = _CONNECTIONS.get(parts.scheme)
        if connect is None or not parts.hostname:
            raise ValueError(f"{endpoint!r} is no http:// or https:// address")
        self._connect = connect
        self._host, self._port = parts.hostname, parts.port
        path = parts.path if parts.path.strip("/") else "/sampling"
        self.url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}"
        self._target = f"{path}?{urlencode({'service': service_name})}"

    def fetch(self) -> dict[str, Any]:
        """The strategy as the server sent it. Raises SamplingError."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        connection = self._connect(self._host, self._port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("GET", self._target, headers={"Accept": "application/json"})
            response = connection.getresponse()
            body = self._body(response, deadline)
        except (OSError, http.client.HTTPException) as error:
            raise SamplingError(f"{self.url}: {error or type(error).__name__}") from None
        finally:
            connection.close()
        if response.status != 200:
            raise SamplingError(f"{self.url} answered {response.status} {response.reason[:100]}")
        try:
            strategy = json.loads(body)
        except (ValueError, RecursionError):
            raise SamplingError(
                f"{self.url} answered no JSON; it must be the HTTP endpoint (5778), not gRPC"
            ) from None
        if not isinstance(strategy, dict):
            raise SamplingError(f"{self.url} answered a JSON {type(strategy).__name__}")
        return strategy

    def _body(self, response: http.client.HTTPResponse, deadline: float) -> bytes:
        body = b""
        while chunk := response.read1(_CHUNK):
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise SamplingError(f"{self.url} answered more than {MAX_BODY_BYTES} bytes")
            if time.monotonic() > deadline:
                raise SamplingError(f"{self.url} took more than {TIMEOUT_SECONDS:.0f} s")
        return body


_CONNECTIONS: dict[str, type[http.client.HTTPConnection]] = {
    "http": http.client.HTTPConnection,
    "https": http.client.HTTPSConnection,
}
