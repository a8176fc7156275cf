"""Every secret of the run, and the search for them in all that left the process.

Secrets are noted where they enter the adapters, whatever the test (`observing`): what becomes a
`Secret`, tokens and leases that Vault grants, etcd's leases, Consul's sessions. Exported are the
spans, metrics and log records of every test, and every error of the adapters with its chain.
"""

from __future__ import annotations

import functools
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from aetcd import rpc
from hvac.adapters import JSONAdapter

from bridge.adapters.consul.wire import Wire
from bridge.adapters.errors import AdapterError
from bridge.adapters.etcd.cluster import CallSpan
from bridge.adapters.redaction import Secret
from bridge.adapters.tracing import Call

SHORTEST = 8  # what is shorter may be a word by chance
VAULT_SECRETS = ("client_token", "accessor", "lease_id", "secret_id", "ciphertext", "password")


class Canaries:
    """The secrets noted, and the lines that were exported, each with where."""

    def __init__(self) -> None:
        self._secrets: dict[str, str] = {}
        self._lines: dict[str, str] = {}

    # --- secrets

    def make(self, what: str) -> str:
        """A new secret: a word nobody else would write."""
        return self.watch(what, "canary" + secrets.token_hex(12))

    def watch(self, what: str, secret: str) -> str:
        """Notes a secret that somebody else made: a token, a lease."""
        if len(secret) >= SHORTEST:
            self._secrets.setdefault(secret, what)
        return secret

    def knows(self, secret: str) -> bool:
        return secret in self._secrets

    # --- what left the process

    def exported(self, where: str, text: str) -> None:
        for line in text.splitlines():
            self._lines.setdefault(line, where)

    def error(self, where: str, error: BaseException) -> None:
        """An exception that reaches the application, with what it is chained to."""
        queue: list[BaseException | None] = [error]
        for one in queue:
            if one is not None and len(queue) < 20:
                self.exported(f"an error in {where}", f"{one}\n{one!r}\n{one.args!r}")
                queue += [one.__cause__, one.__context__]

    # --- the search

    @property
    def counts(self) -> tuple[int, int]:
        """How many secrets and lines there are."""
        return len(self._secrets), len(self._lines)

    def leaks(self) -> list[str]:
        """Which kind of secret is where; the secrets themselves are not told."""
        text = "\n".join(self._lines)
        found = {
            (what, where)
            for secret, what in self._secrets.items()
            for shape in {secret, json.dumps(secret)[1:-1]}
            if shape in text
            for line, where in self._lines.items()
            if shape in line
        }
        return sorted(f"{what} in {where}" for what, where in found)


@contextmanager
def observing(canaries: Canaries, where: Callable[[], str]) -> Iterator[None]:
    """Notes what enters and leaves the adapters; `where` names the running test."""

    def secret_made(result: None, secret: Secret, value: str) -> None:
        canaries.watch("a Secret", value)

    def etcd_answered(result: None, call: CallSpan, answer: Any, endpoint: object) -> None:
        if isinstance(answer, rpc.LeaseGrantResponse):
            canaries.watch("an etcd lease", str(answer.ID))
            canaries.watch("an etcd lease in hex", f"{answer.ID:x}")

    def consul_answered(
        result: Any, wire: Wire, request: Any, call: Call, response: Any, read: Any
    ) -> None:
        if request.operation == "session create":
            canaries.watch("a Consul session", json.loads(response.body)["ID"])

    def vault_answered(result: Any, *_: object, **__: object) -> None:
        for name, value in _leaves(result):
            if name in VAULT_SECRETS and isinstance(value, str):
                canaries.watch(f"Vault's {name}", value)

    def error_made(result: None, error: AdapterError, *_: object, **__: object) -> None:
        canaries.error(where(), error)

    with pytest.MonkeyPatch.context() as patch:
        _after(patch, Secret, "__init__", secret_made)
        _after(patch, CallSpan, "answered", etcd_answered)
        _after(patch, Wire, "finish", consul_answered)
        _after(patch, JSONAdapter, "request", vault_answered)
        _after(patch, AdapterError, "__init__", error_made)
        patch.setattr(Call, "__exit__", _telling_errors(Call.__exit__, canaries, where))
        yield


def _after(patch: pytest.MonkeyPatch, owner: type, name: str, told: Callable[..., None]) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        told(result, *args, **kwargs)
        return result

    patch.setattr(owner, name, wrapper)


def _telling_errors(
    leave: Callable[..., None], canaries: Canaries, where: Callable[[], str]
) -> Callable[..., None]:
    """Whatever leaves a call is what the application gets, except what a test raises itself."""

    def leaving(call: Call, kind: Any, error: BaseException | None, trace: Any) -> None:
        try:
            leave(call, kind, error, trace)
        except AdapterError as translated:
            canaries.error(where(), translated)
            raise
        if error is not None and type(error).__module__ != "builtins":
            canaries.error(where(), error)

    return leaving


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, key)
    else:
        yield name, value
