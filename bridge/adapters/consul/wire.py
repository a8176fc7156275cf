"""What one HTTP request to Consul is called in a trace, and what its failure means.

Every call of py-consul ends in one HTTP client; the traced ones (`client`, `aio.client`) ask
here. The operation is derived from method and path, so that calls we have no method for are
traced as well.
"""

from __future__ import annotations

import functools
import json
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import consul
from consul.base import Response
from opentelemetry.util.types import AttributeValue

from bridge.adapters import conventions as c
from bridge.adapters import errors
from bridge.adapters.errors import AdapterError
from bridge.adapters.redaction import KeyPolicy
from bridge.adapters.tracing import Call, Tracing

SYSTEM = "consul"
Params = Sequence[tuple[str, Any]]

_KV = "/v1/kv/"
_TXN = "/v1/txn"

# (method, start of the path, operation, what the rest of the path is)
_ROUTES: tuple[tuple[str, str, str, str], ...] = (
    ("GET", "/v1/health/service/", "discover", c.CONSUL_SERVICE_NAME),
    ("GET", "/v1/catalog/service/", "catalog", c.CONSUL_SERVICE_NAME),
    ("PUT", "/v1/agent/service/register", "register", ""),
    ("PUT", "/v1/agent/service/deregister/", "deregister", c.CONSUL_SERVICE_ID),
    ("GET", "/v1/agent/service/", "service get", c.CONSUL_SERVICE_ID),
    ("PUT", "/v1/session/create", "session create", ""),
    ("PUT", "/v1/session/destroy/", "session destroy", ""),
)
# Heartbeats: many, all alike, counted as a metric.
_UNTRACED = ("/v1/agent/check/pass/", "/v1/agent/check/warn/", "/v1/agent/check/fail/",
             "/v1/session/renew/")  # fmt: skip

_BY_STATUS: dict[int, type[AdapterError]] = {
    400: errors.InvalidRequest,
    401: errors.InvalidRequest,  # "ACL support disabled": the token is not at fault
    404: errors.NotFound,
    409: errors.Conflict,
    413: errors.LimitExceeded,
    429: errors.RateLimited,
    503: errors.Unavailable,
    504: errors.DeadlineExceeded,
}


# How an agent's 500 says that it has no leader, or lost the server it passed the call to.
_OUTAGE = ("leader", "No path to datacenter", "rpc error getting client", "connection refused",
           "stream closed", "EOF", "i/o deadline reached", "failed to get conn")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """One request, named: `operation` for errors and metrics, `span` for the span's name."""

    operation: str
    span: str
    attributes: dict[str, AttributeValue]
    traced: bool = True
    database: bool = False


class Wire:
    """Starts and finishes the call around one HTTP exchange with the agent at host and port.

    A client that only watches is not `traced`: its reads are background work.
    """

    def __init__(
        self, tracing: Tracing, key_policy: KeyPolicy, host: str, port: int, *, traced: bool = True
    ) -> None:
        self._tracing = tracing
        self._traced = traced
        self._key_policy = key_policy
        self._server: dict[str, AttributeValue] = {c.SERVER_ADDRESS: host, c.SERVER_PORT: port}

    def begin(
        self,
        method: str,
        path: str,
        params: Params | None,
        data: str | bytes | None,
        transport_error: Callable[[BaseException], type[AdapterError] | None],
    ) -> tuple[Request, Call]:
        request = self._describe(method, path, dict(params or ()), data)
        translate = functools.partial(_translate, request.operation, transport_error)
        if not (request.traced and self._traced):
            return request, self._tracing.untraced(translate)
        return request, self._tracing.call(request.span, request.attributes, translate)

    def finish(
        self, request: Request, call: Call, response: Response, callback: Callable[[Response], Any]
    ) -> Any:
        """The parsed answer; raises our error for one that refuses."""
        status = response.code
        if request.database:
            call.set(c.DB_RESPONSE_STATUS_CODE, str(status))
        else:
            call.set(c.HTTP_RESPONSE_STATUS_CODE, status)
        if index := response.headers.get("X-Consul-Index"):
            call.set(c.CONSUL_INDEX, int(index))
        if status >= 300 and status != 404:  # what a 404 means is the callback's to say
            raise refusal(request.operation, status, response.body)
        result = callback(response)
        if request.operation == "get":
            call.set(c.CONSUL_FOUND, status != 404)
        elif request.operation == "discover":
            call.set(c.CONSUL_INSTANCES_COUNT, len(result[1] or ()))
        return result

    def _describe(
        self, method: str, path: str, params: dict[str, Any], data: str | bytes | None
    ) -> Request:
        attributes = dict(self._server)
        for consistency in ("stale", "consistent"):
            if consistency in params:
                attributes[c.CONSUL_CONSISTENCY] = consistency
        if datacenter := params.get("dc"):
            attributes[c.CONSUL_DATACENTER] = datacenter
        traced = "index" not in params and not path.startswith(_UNTRACED)
        if path.startswith(_KV):
            return self._kv(_kv_operation(method, params), path[len(_KV) :], attributes, traced)
        if path == _TXN:
            attributes |= {c.DB_OPERATION_BATCH_SIZE: _count_operations(data)}
            return self._kv("txn", "", attributes, traced)
        attributes[c.SERVICE_PEER_NAME] = SYSTEM
        operation, rest_is, rest = _route(method, path)
        if operation == "register":
            rest_is, rest = c.CONSUL_SERVICE_NAME, _registered_name(data)
        if rest_is:
            attributes[rest_is] = rest
        span = f"{operation} {rest}" if rest_is == c.CONSUL_SERVICE_NAME else operation
        return Request(operation, span, attributes, traced)

    def _kv(
        self, operation: str, key: str, attributes: dict[str, AttributeValue], traced: bool
    ) -> Request:
        attributes[c.DB_SYSTEM_NAME] = SYSTEM
        attributes[c.DB_OPERATION_NAME] = operation
        span = operation
        if shown := self._key_policy(key):
            attributes[c.CONSUL_KEY] = shown
            span = f"{operation} {shown}"
        return Request(operation, span, attributes, traced, database=True)


def refusal(operation: str, status: int, body: Any) -> AdapterError:
    """Our error for an HTTP status of 300 or more. The body is looked at, never kept."""
    kind = _BY_STATUS.get(status)
    text = body if isinstance(body, str) else ""
    # A transaction answers 409 also for a missing right.
    if status == 403 or (status == 409 and "Permission denied" in text):
        kind = errors.Unauthenticated if "ACL not found" in text else errors.Forbidden
    elif status == 500 and "invalid session" in text:
        kind = errors.LeaseLost
    elif status == 500 and any(sign in text for sign in _OUTAGE):
        kind = errors.Unavailable
    elif kind is None:
        kind = errors.InvalidRequest if 400 <= status < 500 else errors.ServerFailed
    return kind(f"{SYSTEM} {operation}", code=str(status))


def is_tls(error: BaseException) -> bool:
    """Whether an ssl error is somewhere below: clients wrap it differently."""
    seen: list[BaseException] = []
    queue: list[object] = [error]
    while queue and len(seen) < 20:
        one = queue.pop()
        if isinstance(one, ssl.SSLError):
            return True
        if isinstance(one, BaseException) and one not in seen:
            seen.append(one)
            queue += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
    return False


def _translate(
    operation: str,
    transport_error: Callable[[BaseException], type[AdapterError] | None],
    error: BaseException,
) -> AdapterError | None:
    name = f"{SYSTEM} {operation}"
    if isinstance(error, consul.NotFound):
        return errors.NotFound(name, code="404")
    if isinstance(error, consul.ConsulException):  # an answer that is not what it should be
        return errors.ServerFailed(name)
    kind = transport_error(error)
    return kind(name) if kind else None


def _kv_operation(method: str, params: dict[str, Any]) -> str:
    if method == "GET":
        return "keys" if "keys" in params else "list" if "recurse" in params else "get"
    if method == "DELETE":
        return "delete"
    return next((verb for verb in ("cas", "acquire", "release") if verb in params), "put")


def _route(method: str, path: str) -> tuple[str, str, str]:
    for verb, start, operation, rest_is in _ROUTES:
        if method == verb and path.startswith(start):
            return operation, rest_is, path[len(start) :]
    return f"{method} {'/'.join(path.split('/')[:3])}", "", ""


def _registered_name(data: str | bytes | None) -> str:
    try:
        return str(json.loads(data or "{}").get("name", ""))
    except ValueError:
        return ""


def _count_operations(data: str | bytes | None) -> int:
    text = data.decode() if isinstance(data, bytes) else data or ""
    return text.count('"KV"')
