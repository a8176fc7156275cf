"""Secrets in Vault's key-value engines, version 1 and 2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hvac.exceptions import InvalidPath

from bridge.adapters import conventions as c
from bridge.adapters.vault.connection import VaultConnection


class SecretData(Mapping[str, Any]):
    """A secret's fields. `repr` and `str` show how many there are, no name and no value.

    `version` is 0 for the version 1 engine, which has none.
    """

    __slots__ = ("_fields", "version")

    def __init__(self, fields: Mapping[str, Any], version: int = 0) -> None:
        self._fields = dict(fields)
        self.version = version

    def __getitem__(self, name: str) -> Any:
        if name not in self._fields:
            raise KeyError("the secret has no such field")
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"SecretData({len(self)} fields, version {self.version})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("SecretData is not pickled")


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a secret (engine version 2), as the metadata tells. Times are ISO 8601."""

    number: int
    created: str
    deleted: str
    destroyed: bool


class SecretStore:
    """Reads and writes the secrets of one mount. Spans show the mount, never a path.

    Methods raise `NotFound`, `Deleted`, `Forbidden`, `Sealed` and the rest of
    `bridge.adapters.errors`.
    """

    def __init__(
        self, connection: VaultConnection, mount: str = "secret", *, engine: Literal[1, 2] = 2
    ) -> None:
        self._connection = connection
        self._mount = mount
        self._engine = engine
        self._attributes = {c.VAULT_ENGINE: f"kv{engine}"}

    @property
    def _kv(self) -> Any:
        kv = self._connection.client.secrets.kv
        return kv.v1 if self._engine == 1 else kv.v2

    def read(self, path: str, *, version: int | None = None) -> SecretData:
        """The secret, or one of its earlier versions."""
        self._want_versions(version)
        with self._connection.traced("read", self._mount, self._attributes):
            if self._engine == 1:
                answer = self._kv.read_secret(path, mount_point=self._mount)
                return SecretData(answer["data"])
            answer = self._kv.read_secret_version(
                path, version=version, mount_point=self._mount, raise_on_deleted_version=True
            )
            data = answer["data"]
            return SecretData(data["data"] or {}, int(data["metadata"]["version"]))

    def write(self, path: str, fields: Mapping[str, Any], *, version: int | None = None) -> int:
        """Replaces the secret; its new version (0 with engine 1).

        With `version` only if that is still the current one (0: if there is none), else
        `Conflict`.
        """
        self._want_versions(version)
        with self._connection.traced("write", self._mount, self._attributes):
            if self._engine == 1:
                self._kv.create_or_update_secret(
                    path, dict(fields), method="POST", mount_point=self._mount
                )
                return 0
            answer = self._kv.create_or_update_secret(
                path, dict(fields), cas=version, mount_point=self._mount
            )
            return int(answer["data"]["version"])

    def delete(self, path: str) -> None:
        """Engine 1: gone for good. Engine 2: the current version is marked and can come back."""
        with self._connection.traced("delete", self._mount, self._attributes):
            if self._engine == 1:
                self._kv.delete_secret(path, mount_point=self._mount)
            else:
                self._kv.delete_latest_version_of_secret(path, mount_point=self._mount)

    def undelete(self, path: str, version: int) -> None:
        """Brings a deleted version back (engine 2)."""
        self._want_versions(version)
        with self._connection.traced("undelete", self._mount, self._attributes):
            self._kv.undelete_secret_versions(path, [version], mount_point=self._mount)

    def destroy(self, path: str) -> None:
        """Removes the secret with all its versions, for good."""
        with self._connection.traced("destroy", self._mount, self._attributes):
            if self._engine == 1:
                self._kv.delete_secret(path, mount_point=self._mount)
            else:
                self._kv.delete_metadata_and_all_versions(path, mount_point=self._mount)

    def versions(self, path: str) -> list[Version]:
        """All versions, oldest first (engine 2)."""
        self._want_versions(0)
        with self._connection.traced("versions", self._mount, self._attributes):
            answer = self._kv.read_secret_metadata(path, mount_point=self._mount)
        return sorted(
            (
                Version(int(number), it["created_time"], it["deletion_time"], it["destroyed"])
                for number, it in answer["data"]["versions"].items()
            ),
            key=lambda version: version.number,
        )

    def list(self, path: str = "") -> list[str]:
        """The names under `path`; folders end with a slash. Empty when there are none."""
        with self._connection.traced("list", self._mount, self._attributes) as call:
            try:
                answer = self._kv.list_secrets(path, mount_point=self._mount)
            except InvalidPath:
                call.set(c.VAULT_FOUND, False)
                return []
        return [str(key) for key in answer["data"]["keys"]]

    def _want_versions(self, version: int | None) -> None:
        if version is not None and self._engine == 1:
            raise ValueError("the version 1 engine keeps no versions")
