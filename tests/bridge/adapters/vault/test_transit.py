"""Encryption by a real OpenBao."""

from __future__ import annotations

import pytest

from bridge.adapters.errors import InvalidRequest
from bridge.adapters.vault import Transit, VaultConnection
from tests.bridge.adapters.canaries import Canaries
from tests.servers.openbao import OpenBao


@pytest.fixture
def transit(bao: OpenBao, vault: VaultConnection) -> Transit:
    root = bao.root()
    if "transit/" not in root.sys.list_mounted_secrets_engines()["data"]:
        root.sys.enable_secrets_engine("transit")
        root.secrets.transit.create_key("orders")
    return Transit(vault)


def test_what_was_encrypted_is_decrypted(transit: Transit, canaries: Canaries) -> None:
    plaintext = canaries.make("plaintext").encode()
    ciphertext = canaries.watch("ciphertext", transit.encrypt("orders", plaintext))
    assert transit.decrypt("orders", ciphertext) == plaintext


def test_what_the_key_did_not_encrypt_is_refused(transit: Transit) -> None:
    with pytest.raises(InvalidRequest):
        transit.decrypt("orders", "vault:v1:AAAA")
