"""Encryption by Vault's transit engine: the key never leaves Vault."""

from __future__ import annotations

import base64

from bridge.adapters import conventions as c
from bridge.adapters.vault.connection import VaultConnection


class Transit:
    """Encrypts and decrypts with the keys of one transit mount."""

    def __init__(self, connection: VaultConnection, mount: str = "transit") -> None:
        self._connection = connection
        self._mount = mount
        self._attributes = {c.VAULT_ENGINE: "transit"}

    def encrypt(self, key: str, plaintext: bytes) -> str:
        """The ciphertext as Vault writes it ("vault:v1:...")."""
        with self._connection.traced("encrypt", self._mount, self._attributes):
            answer = self._connection.client.secrets.transit.encrypt_data(
                key, base64.b64encode(plaintext).decode(), mount_point=self._mount
            )
        return str(answer["data"]["ciphertext"])

    def decrypt(self, key: str, ciphertext: str) -> bytes:
        """Raises `InvalidRequest` for what this key did not encrypt."""
        with self._connection.traced("decrypt", self._mount, self._attributes):
            answer = self._connection.client.secrets.transit.decrypt_data(
                key, ciphertext, mount_point=self._mount
            )
        return base64.b64decode(answer["data"]["plaintext"])
