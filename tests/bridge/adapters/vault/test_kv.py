"""Secrets in both key-value engines of a real OpenBao."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import pytest

from bridge.adapters.errors import Conflict, Deleted, Forbidden, NotFound
from bridge.adapters.vault import SecretData, SecretStore, VaultConnection
from tests.bridge.adapters.canaries import Canaries
from tests.bridge.adapters.vault.conftest import Connect, limited_token
from tests.servers.openbao import OpenBao
from tests.servers.watchers import Telemetry


@pytest.fixture
def store(vault: VaultConnection) -> SecretStore:
    return SecretStore(vault)


@pytest.fixture
def old_store(bao: OpenBao, vault: VaultConnection) -> Iterator[SecretStore]:
    bao.root().sys.enable_secrets_engine("kv", path="old", options={"version": "1"})
    yield SecretStore(vault, "old", engine=1)
    bao.root().sys.disable_secrets_engine("old")


def test_what_was_written_is_read(store: SecretStore) -> None:
    assert store.write("kv/a", {"password": "x", "port": 5432}) == 1
    secret = store.read("kv/a")
    assert dict(secret) == {"password": "x", "port": 5432}
    assert secret.version == 1


def test_the_first_engine_has_no_versions(old_store: SecretStore) -> None:
    assert old_store.write("a", {"password": "x"}) == 0
    assert old_store.read("a")["password"] == "x"
    assert old_store.list() == ["a"]
    with pytest.raises(ValueError, match="no versions"):
        old_store.read("a", version=1)
    old_store.delete("a")
    with pytest.raises(NotFound):
        old_store.read("a")


def test_a_missing_secret_is_not_found_and_no_error_in_the_trace(
    store: SecretStore, telemetry: Telemetry
) -> None:
    with pytest.raises(NotFound):
        store.read("kv/none")
    assert telemetry.span("read secret").status.is_unset


def test_a_deleted_secret_says_so_and_comes_back(store: SecretStore) -> None:
    store.write("kv/deleted", {"a": "1"})
    store.delete("kv/deleted")
    with pytest.raises(Deleted):
        store.read("kv/deleted")
    store.undelete("kv/deleted", 1)
    assert store.read("kv/deleted")["a"] == "1"
    store.destroy("kv/deleted")
    with pytest.raises(NotFound) as caught:
        store.read("kv/deleted")
    assert not isinstance(caught.value, Deleted)


def test_earlier_versions_are_kept(store: SecretStore) -> None:
    for value in ("one", "two"):
        store.write("kv/versions", {"a": value})
    assert store.read("kv/versions", version=1)["a"] == "one"
    assert [version.number for version in store.versions("kv/versions")] == [1, 2]


def test_of_two_writers_of_the_same_version_one_wins(store: SecretStore) -> None:
    store.write("kv/cas", {"a": "1"}, version=0)
    store.write("kv/cas", {"a": "2"}, version=1)
    with pytest.raises(Conflict):
        store.write("kv/cas", {"a": "3"}, version=1)
    assert store.read("kv/cas")["a"] == "2"


def test_list_gives_names_and_folders(store: SecretStore) -> None:
    store.write("tree/a", {"x": "1"})
    store.write("tree/b/c", {"x": "1"})
    assert store.list("tree") == ["a", "b/"]
    assert store.list("nothing") == []


def test_a_policy_forbids(bao: OpenBao, connect: Connect) -> None:
    token = limited_token(bao, 'path "secret/data/open/*" { capabilities = ["read"] }')
    store = SecretStore(connect(bao, token=token))
    with pytest.raises(NotFound):
        store.read("open/none")
    with pytest.raises(Forbidden):
        store.read("closed/none")


def test_a_secret_shows_itself_to_nobody(
    store: SecretStore, telemetry: Telemetry, canaries: Canaries
) -> None:
    value, path = canaries.make("value"), canaries.make("path")
    store.write(f"kv/{path}", {"password": value})
    secret = store.read(f"kv/{path}")
    assert value not in repr(secret)
    assert "password" not in str(secret)
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(KeyError) as missing:
        _ = secret[value]
    assert value not in repr(missing.value)
    store.delete(f"kv/{path}")
    with pytest.raises(Deleted):
        store.read(f"kv/{path}")


def test_a_read_is_a_client_span_that_names_the_mount_only(
    store: SecretStore, telemetry: Telemetry
) -> None:
    store.write("kv/span", {"a": "1"})
    span = telemetry.span("write secret")
    assert span.kind.name == "CLIENT"
    assert span.attributes is not None
    assert dict(span.attributes) == {
        "vault.operation": "write",
        "vault.mount": "secret",
        "vault.engine": "kv2",
        "service.peer.name": "vault",
        "server.address": "127.0.0.1",
        "server.port": span.attributes["server.port"],
    }


def test_an_empty_secret_is_a_mapping_too() -> None:
    assert dict(SecretData({})) == {}
