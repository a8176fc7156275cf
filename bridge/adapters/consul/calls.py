"""The calls to Consul as data: how py-consul is asked and how its answer is read.

py-consul's sync and asyncio clients have the same methods, so one `Ask` serves both.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from consul import NotFound
from consul.callback import CB

from bridge.adapters.consul.model import (
    Consistency,
    Delete,
    DeleteTree,
    Entry,
    Expect,
    Health,
    Instance,
    Operation,
    Put,
    Service,
)
from bridge.adapters.errors import LimitExceeded

# Consul 1.8 takes 64 operations (later ones 128) in a body of 512 KiB.
MOST_OPERATIONS = 64
MOST_BYTES = 512 * 1024

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Ask(Generic[_T]):
    """`send` is given a py-consul client, sync or asyncio; `read` gets what it answered."""

    send: Callable[[Any], Any]
    read: Callable[[Any], _T]


@dataclass(frozen=True, slots=True)
class Blocking:
    """Where a blocking read goes on: the server answers when `index` is passed, or after `wait` s.

    The first (index 0) is consistent: a server that has just started answers plain reads before it
    has read its own log, and everything would look deleted.
    """

    index: int
    wait: float

    @property
    def consistency(self) -> Consistency | None:
        return None if self.index else "consistent"


def get(key: str, consistency: Consistency | None = None) -> Ask[Entry | None]:
    _check_key(key)
    return Ask(
        lambda client: client.kv.get(key, consistency=consistency),
        lambda answer: _entry(answer[1]) if answer[1] else None,
    )


def entries(prefix: str, consistency: Consistency | None = None) -> Ask[list[Entry]]:
    _check_key(prefix)
    return Ask(
        lambda client: client.kv.get(prefix, recurse=True, consistency=consistency),
        lambda answer: [_entry(raw) for raw in answer[1] or ()],
    )


def keys(prefix: str) -> Ask[list[str]]:
    _check_key(prefix)
    return Ask(
        lambda client: client.kv.get(prefix, keys=True), lambda answer: list(answer[1] or ())
    )


def put(key: str, value: bytes | str, index: int | None = None) -> Ask[bool]:
    _check_key(key)
    return Ask(lambda client: client.kv.put(key, value, cas=index), bool)


def delete(key: str, index: int | None = None) -> Ask[bool]:
    _check_key(key)
    return Ask(lambda client: client.kv.delete(key, cas=index), bool)


def delete_tree(prefix: str) -> Ask[bool]:
    _check_key(prefix)
    return Ask(lambda client: client.kv.delete(prefix, recurse=True), bool)


def transaction(operations: Sequence[Operation]) -> Ask[list[Entry]]:
    """One transaction; `LimitExceeded` when it would take several."""
    chunks = list(split(operations))
    if len(chunks) > 1:
        raise LimitExceeded("consul txn")
    return _transaction(chunks[0][0] if chunks else "[]")


def transactions(operations: Sequence[Operation]) -> list[tuple[Ask[list[Entry]], int]]:
    """As many transactions as the limits need, each with its number of operations."""
    return [(_transaction(body), size) for body, size in split(operations)]


def _transaction(body: str) -> Ask[list[Entry]]:
    # py-consul's own txn.put sends neither token nor datacenter.
    def send(client: Any) -> Any:
        params = [("dc", client.dc)] if client.dc else []
        return client.http.put(CB.json(), "/v1/txn", params, body, client.prepare_headers())

    return Ask(send, _read_transaction)


def split(operations: Sequence[Operation]) -> Iterator[tuple[str, int]]:
    """JSON bodies within the limits, in order. An operation too big for any raises."""
    chunk: list[str] = []
    size = 2
    for operation in operations:
        text = json.dumps({"KV": _verb(operation)}, separators=(",", ":"))
        if len(text) + 2 > MOST_BYTES:
            raise LimitExceeded("consul txn")
        if chunk and (len(chunk) == MOST_OPERATIONS or size + len(text) + 1 > MOST_BYTES):
            yield f"[{','.join(chunk)}]", len(chunk)
            chunk, size = [], 2
        chunk.append(text)
        size += len(text) + 1
    if chunk:
        yield f"[{','.join(chunk)}]", len(chunk)


def register(service: Service) -> Ask[bool]:
    check = service.check.definition() if service.check else None
    return Ask(
        lambda client: client.agent.service.register(
            service.name,
            service_id=service.id,
            address=service.address or None,
            port=service.port,
            tags=list(service.tags),
            meta=service.full_meta(),
            check=check,
            replace_existing_checks=True,
        ),
        bool,
    )


def deregister(service_id: str) -> Ask[bool]:
    return Ask(lambda client: client.agent.service.deregister(service_id), bool)


def is_registered(service_id: str) -> Ask[bool]:
    return Ask(
        lambda client: client.http.get(
            CB.json(), f"/v1/agent/service/{service_id}", None, client.prepare_headers()
        ),
        lambda answer: answer is not None,
    )


def report(service_id: str, health: Health) -> Ask[bool]:
    """Tells the TTL check of a service; NotFound when the agent does not know it (any more)."""
    verb = {"passing": "pass", "warning": "warn", "critical": "fail"}[health.value]
    return Ask(
        lambda client: client.http.put(
            _done,
            f"/v1/agent/check/{verb}/service:{service_id}",
            None,
            "",
            client.prepare_headers(),
        ),
        bool,
    )


def _done(response: Any) -> bool:
    if response.code == 404:
        raise NotFound
    return True


def instances(
    name: str,
    tags: Sequence[str] = (),
    healthy: bool = True,
    consistency: Consistency | None = None,
    at: Blocking | None = None,
) -> Ask[tuple[int, list[Instance]]]:
    # py-consul's health.service has no consistency.
    params: list[tuple[str, Any]] = [("tag", tag) for tag in tags]
    params += _blocking(at)
    if healthy:
        params.append(("passing", "1"))
    asked = at.consistency if at else consistency

    def send(client: Any) -> Any:
        own = [("dc", client.dc)] if client.dc else []
        if (mode := asked or client.consistency) != "default":
            own.append((mode, "1"))
        headers = client.prepare_headers()
        path = f"/v1/health/service/{name}"
        return client.http.get(CB.json(index=True), path, [*params, *own], headers)

    return Ask(send, lambda answer: (int(answer[0]), [_instance(raw) for raw in answer[1] or ()]))


def key_state(key: str, at: Blocking) -> Ask[tuple[int, dict[str, Entry]]]:
    """A blocking read of one key; missing is an empty dict."""
    return _state(key, at, recurse=False)


def prefix_state(prefix: str, at: Blocking) -> Ask[tuple[int, dict[str, Entry]]]:
    """A blocking read of every key below a prefix."""
    return _state(prefix, at, recurse=True)


def _state(key: str, at: Blocking, recurse: bool) -> Ask[tuple[int, dict[str, Entry]]]:
    def read(answer: Any) -> tuple[int, dict[str, Entry]]:
        raw = answer[1] or []
        found = [_entry(one) for one in (raw if isinstance(raw, list) else [raw])]
        return int(answer[0]), {entry.key: entry for entry in found}

    return Ask(
        lambda client: client.kv.get(
            key,
            index=at.index or None,
            wait=_seconds(at.wait),
            recurse=recurse,
            consistency=at.consistency,
        ),
        read,
    )


def _blocking(at: Blocking | None) -> list[tuple[str, Any]]:
    return [("index", at.index), ("wait", _seconds(at.wait))] if at and at.index else []


def _seconds(wait: float) -> str:
    return f"{round(wait * 1000)}ms"


def _check_key(key: str) -> None:
    if key.startswith("/"):
        raise ValueError("a Consul key does not begin with a slash")


def _entry(raw: Mapping[str, Any]) -> Entry:
    value = raw["Value"]
    return Entry(
        key=raw["Key"],
        value=value if isinstance(value, bytes) else b"",
        index=raw["ModifyIndex"],
        created=raw["CreateIndex"],
        flags=raw["Flags"],
    )


def _instance(raw: Mapping[str, Any]) -> Instance:
    service, node = raw["Service"], raw["Node"]
    states = {check["Status"] for check in raw["Checks"]}
    worst = next(
        (health for health in (Health.CRITICAL, Health.WARNING) if health.value in states),
        Health.PASSING,
    )
    return Instance(
        id=service["ID"],
        service=service["Service"],
        address=service["Address"] or node["Address"],
        port=service["Port"],
        node=node["Node"],
        tags=tuple(service["Tags"] or ()),
        meta=dict(service["Meta"] or {}),
        health=worst,
    )


def _read_transaction(answer: Any) -> list[Entry]:
    return [_entry(result["KV"]) for result in answer["Results"] or () if "KV" in result]


def _verb(operation: Operation) -> dict[str, Any]:
    if isinstance(operation, Put):
        raw = operation.value.encode() if isinstance(operation.value, str) else operation.value
        value = base64.b64encode(raw).decode()
        if operation.index is None:
            return {"Verb": "set", "Key": operation.key, "Value": value}
        index = operation.index
        return {"Verb": "cas", "Key": operation.key, "Value": value, "Index": index}
    if isinstance(operation, Delete):
        if operation.index is None:
            return {"Verb": "delete", "Key": operation.key}
        return {"Verb": "delete-cas", "Key": operation.key, "Index": operation.index}
    if isinstance(operation, DeleteTree):
        return {"Verb": "delete-tree", "Key": operation.prefix}
    assert isinstance(operation, Expect)
    if operation.index == 0:
        return {"Verb": "check-not-exists", "Key": operation.key}
    return {"Verb": "check-index", "Key": operation.key, "Index": operation.index}
