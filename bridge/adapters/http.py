"""The HTTP session below py-consul and hvac: requests', without what these servers never need."""

from __future__ import annotations

import http.client
import io
import json as json_codec
from collections.abc import Mapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import requests
import urllib3
from requests.structures import CaseInsensitiveDict

# What requests takes: seconds, or those for the connection and those for the answer.
Timeout: TypeAlias = "float | tuple[float | None, float | None] | None"

_NEVER = urllib3.Retry(False)
_JSON = {"Content-Type": "application/json"}


class DirectSession(requests.Session):
    """A session that hands a plain request straight to urllib3, at half of the cost.

    Nothing is read from the environment (proxies, `.netrc`), no cookie is kept. Connections, TLS
    and exceptions are requests' own. A stream, parameters or a redirect go requests' usual way,
    and everything does with `usual`: instrumentations of requests see only that one.
    """

    def __init__(self, *, usual: bool = False) -> None:
        super().__init__()
        self.trust_env = False
        self._usual = usual
        self._pools: dict[object, urllib3.HTTPConnectionPool] = {}

    def request(  # type: ignore[override]
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str | bytes | None] | None = None,
        data: str | bytes | None = None,
        json: Any = None,
        timeout: Timeout = None,
        verify: bool | str = True,
        cert: str | tuple[str, str] | None = None,
        allow_redirects: bool = True,
        **rest: Any,
    ) -> requests.Response:
        asked = {"headers": headers, "data": data, "json": json, "timeout": timeout,
                 "verify": verify, "cert": cert, "allow_redirects": allow_redirects}  # fmt: skip
        if self._usual or any(rest.values()) or not isinstance(data, (str, bytes, type(None))):
            return super().request(method, url, **asked, **rest)
        sent = {**self.headers, **(headers or {})}
        if json is not None and not data:
            data = json_codec.dumps(json, allow_nan=False)
            sent |= _JSON
        answer = self._send(method, url, sent, data, timeout, verify, cert)
        if allow_redirects and answer.is_redirect:  # it has done nothing yet
            return super().request(method, url, **asked)
        return answer

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()
        super().close()

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, Any],
        body: str | bytes | None,
        timeout: Timeout,
        verify: bool | str,
        cert: str | tuple[str, str] | None,
    ) -> requests.Response:
        server = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        limits = timeout if isinstance(timeout, tuple) else (timeout, timeout)
        try:
            raw = self._pool(server, verify, cert).urlopen(
                method.upper(),
                url[len(server) :],
                body,
                headers,
                retries=_NEVER,
                redirect=False,
                timeout=urllib3.Timeout(connect=limits[0], read=limits[1]),
            )
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, ValueError) as error:
            raise _as_requests(error) from error
        answer = requests.Response()
        answer.status_code = raw.status
        answer.reason = raw.reason or ""
        answer.url = url
        answer.headers = CaseInsensitiveDict(raw.headers)
        answer.encoding = "utf-8"
        answer.raw = io.BytesIO(raw.data)
        return answer

    def _pool(
        self, server: str, verify: bool | str, cert: str | tuple[str, str] | None
    ) -> urllib3.HTTPConnectionPool:
        key = (server, verify, cert)
        if key not in self._pools:
            adapter: Any = self.get_adapter(server)
            asked = requests.Request("GET", server).prepare()
            pool = adapter.get_connection_with_tls_context(asked, verify, cert=cert)
            adapter.cert_verify(pool, server, verify, cert)
            self._pools[key] = pool
        return self._pools[key]


def _as_requests(error: Exception) -> Exception:
    """What requests would have raised."""
    if isinstance(error, urllib3.exceptions.LocationValueError):
        return requests.exceptions.InvalidURL(error)
    if isinstance(error, urllib3.exceptions.NewConnectionError):  # a TimeoutError to urllib3
        return requests.ConnectionError(error)
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return requests.Timeout(error)
    if isinstance(error, urllib3.exceptions.SSLError):
        return requests.exceptions.SSLError(error)
    if isinstance(error, (urllib3.exceptions.HTTPError, http.client.HTTPException)):
        return requests.ConnectionError(error)
    return error if isinstance(error, UnicodeError) else requests.exceptions.InvalidHeader(error)
