"""Ways to log in to Vault: a token, an AppRole, a service account's JWT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bridge.adapters.redaction import Secret

KUBERNETES_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"
MAX_JWT_BYTES = 64 * 1024


class Auth(Protocol):
    """A login that can be repeated: where it posts to, and what."""

    @property
    def mount(self) -> str: ...

    def payload(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class AppRole:
    """Login by role id and secret id."""

    role_id: str
    secret_id: Secret
    mount: str = "approle"

    def payload(self) -> Mapping[str, Any]:
        return {"role_id": self.role_id, "secret_id": self.secret_id.reveal()}


@dataclass(frozen=True)
class ServiceAccount:
    """Login by a JWT in a file, read anew for every login, as Kubernetes rotates it.

    Works with the auth methods `kubernetes` and `jwt`, which take the same request.
    """

    role: str
    token_file: str = KUBERNETES_TOKEN
    mount: str = "kubernetes"

    def payload(self) -> Mapping[str, Any]:
        with Path(self.token_file).open(encoding="ascii") as file:
            return {"role": self.role, "jwt": file.read(MAX_JWT_BYTES).strip()}
