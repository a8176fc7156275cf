"""Reaching a real OpenBao: logins, tokens that end, a server that hangs, is sealed or gone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bridge.adapters.errors import (
    Closed,
    DeadlineExceeded,
    Forbidden,
    Sealed,
    TlsRefused,
    Unauthenticated,
    Unavailable,
)
from bridge.adapters.redaction import Secret
from bridge.adapters.vault import AppRole, SecretStore, ServiceAccount, VaultConnection
from tests.bridge.adapters.canaries import Canaries
from tests.bridge.adapters.vault.conftest import Connect, limited_token
from tests.servers.faults import TcpProxy
from tests.servers.openbao import ROOT_TOKEN, OpenBao, one_openbao
from tests.servers.process import wait_until
from tests.servers.watchers import Telemetry, no_leftovers

READ = 'path "secret/data/*" { capabilities = ["create", "update", "read"] }'


@pytest.fixture(scope="module")
def app_role(bao: OpenBao) -> AppRole:
    """A role whose tokens live 3 s, 8 s at the most."""
    root = bao.root()
    root.sys.create_or_update_policy("read", READ)
    root.sys.enable_auth_method("approle")
    root.auth.approle.create_or_update_approle(
        "app", token_policies=["read"], token_ttl="3s", token_max_ttl="8s"
    )
    role_id = root.auth.approle.read_role_id("app")["data"]["role_id"]
    secret_id = root.auth.approle.generate_secret_id("app")["data"]["secret_id"]
    return AppRole(role_id, Secret(secret_id))


def test_either_a_token_or_a_login_is_wanted(bao: OpenBao) -> None:
    with pytest.raises(ValueError, match="either"):
        VaultConnection(bao.url)


def test_a_token_outlives_its_longest_life_by_a_new_login(
    bao: OpenBao, app_role: AppRole, connect: Connect, telemetry: Telemetry
) -> None:
    store = SecretStore(connect(bao, auth=app_role))
    store.write("approle/a", {"x": "1"})
    ends = time.monotonic() + 11
    while time.monotonic() < ends:
        assert store.read("approle/a")["x"] == "1"
        time.sleep(0.2)
    assert len(telemetry.spans("login auth/approle")) >= 2
    assert sum(telemetry.metric("adapter.renewals").values()) >= 3


def test_a_revoked_token_is_replaced_within_the_call(
    bao: OpenBao, app_role: AppRole, connect: Connect, telemetry: Telemetry
) -> None:
    connection = connect(bao, auth=app_role)
    store = SecretStore(connection)
    store.write("approle/b", {"x": "1"})
    bao.root().auth.token.revoke(connection.client.token)
    assert store.read("approle/b")["x"] == "1"
    (read,) = telemetry.spans("read secret")
    *_, login = telemetry.spans("login auth/approle")
    assert login.parent == read.context


def test_a_given_token_that_expired_is_unauthenticated(bao: OpenBao, connect: Connect) -> None:
    token = limited_token(bao, READ, ttl="1s", renewable=False)
    store = SecretStore(connect(bao, token=token))
    time.sleep(1.5)
    with pytest.raises(Unauthenticated):
        store.read("a")


def test_a_given_token_is_renewed_while_vault_lets_it(bao: OpenBao, connect: Connect) -> None:
    token = limited_token(bao, READ, ttl="2s", explicit_max_ttl="60s")
    store = SecretStore(connect(bao, token=token))
    store.write("given/a", {"x": "1"})
    time.sleep(4)
    assert store.read("given/a")["x"] == "1"


def test_a_wrong_secret_id_is_unauthenticated_and_not_shown(
    bao: OpenBao, app_role: AppRole, connect: Connect, canaries: Canaries
) -> None:
    secret_id = canaries.make("secret id")
    wrong = AppRole(app_role.role_id, Secret(secret_id))
    with pytest.raises(Unauthenticated):
        connect(bao, auth=wrong)
    assert secret_id not in repr(wrong)


def test_a_wrong_token_is_refused(bao: OpenBao, connect: Connect, canaries: Canaries) -> None:
    with pytest.raises((Unauthenticated, Forbidden)):
        connect(bao, token=canaries.make("token"))


def test_a_service_account_logs_in_by_the_jwt_in_its_file(
    bao: OpenBao, connect: Connect, tmp_path: Path
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    root = bao.root()
    root.sys.create_or_update_policy("read", READ)
    root.sys.enable_auth_method("jwt", path="kubernetes")
    root.write_data("auth/kubernetes/config", data={"jwt_validation_pubkeys": [public.decode()]})
    root.write_data(
        "auth/kubernetes/role/shop",
        data={
            "role_type": "jwt",
            "user_claim": "sub",
            "bound_audiences": ["vault"],
            "token_policies": ["read"],
            "token_ttl": "30s",
        },
    )
    claims = {"sub": "shop", "aud": "vault", "exp": int(time.time()) + 60}
    file = tmp_path / "token"
    file.write_text(jwt.encode(claims, key, algorithm="ES256"))
    store = SecretStore(connect(bao, auth=ServiceAccount("shop", str(file))))
    store.write("jwt/a", {"x": "1"})


def test_a_hanging_server_ends_in_the_deadline(own_bao: OpenBao, connect: Connect) -> None:
    store = SecretStore(connect(own_bao, timeout=0.5))
    own_bao.pause()
    with pytest.raises(DeadlineExceeded):
        store.read("a")
    own_bao.resume()


def test_a_dead_server_is_unavailable(
    own_bao: OpenBao, connect: Connect, telemetry: Telemetry
) -> None:
    store = SecretStore(connect(own_bao))
    own_bao.kill()
    with pytest.raises(Unavailable):
        store.read("a")
    span = telemetry.span("read secret")
    assert span.attributes is not None
    assert span.attributes["error.type"] == "Unavailable"


def test_a_sealed_server_says_so(own_bao: OpenBao, connect: Connect) -> None:
    store = SecretStore(connect(own_bao))
    own_bao.root().sys.seal()
    with pytest.raises(Sealed):
        store.read("a")


def test_a_wrong_ca_is_tls_refused(connect: Connect, tmp_path: Path) -> None:
    import trustme

    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    with one_openbao(tls=True) as server:
        store = SecretStore(connect(server, ca=str(server.ca)))
        store.write("tls/a", {"x": "1"})
        with pytest.raises(TlsRefused):
            connect(server, ca=str(other))


def test_calls_share_one_connection(bao: OpenBao) -> None:
    with TcpProxy(bao.port) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        with VaultConnection(url, token=ROOT_TOKEN) as connection:
            for number in range(10):
                SecretStore(connection).write("shared/a", {"x": str(number)})
        assert proxy.connections == 1


def test_a_closed_connection_says_so(bao: OpenBao, connect: Connect) -> None:
    connection = connect(bao)
    connection.close()
    connection.close()
    with pytest.raises(Closed):
        SecretStore(connection).read("a")


def test_calls_of_the_plain_client_are_traced_with_our_errors(
    vault: VaultConnection, telemetry: Telemetry
) -> None:
    assert vault.client.read("sys/mounts")["data"]
    assert telemetry.span("get sys").kind.name == "CLIENT"


@pytest.fixture(scope="module")
def audited_bao() -> Iterator[OpenBao]:
    with one_openbao(audit=True) as server:
        path = "sys/config/auditing/request-headers/traceparent"
        server.root().write_data(path, data={"hmac": False})
        yield server


def test_openbaos_audit_log_holds_our_traceparent_and_no_baggage(
    audited_bao: OpenBao, connect: Connect, telemetry: Telemetry, canaries: Canaries
) -> None:
    from opentelemetry import baggage, context

    secret = canaries.make("secret")
    token = context.attach(baggage.set_baggage("user", canaries.make("baggage")))
    SecretStore(connect(audited_bao)).write("audit/a", {"password": secret})
    context.detach(token)
    ours = telemetry.span("write secret").get_span_context()
    assert ours is not None
    wait_until(lambda: f"{ours.span_id:016x}" in audited_bao.audit_log.read_text())
    entries = map(json.loads, audited_bao.audit_log.read_text().splitlines())
    parents = [
        parent
        for entry in entries
        for parent in entry["request"].get("headers", {}).get("traceparent", [])
    ]
    assert f"00-{ours.trace_id:032x}-{ours.span_id:016x}-01" in parents
    assert secret not in audited_bao.audit_log.read_text()


def test_nothing_is_left_after_close(bao: OpenBao, app_role: AppRole) -> None:
    with no_leftovers(), VaultConnection(bao.url, auth=app_role) as connection:
        SecretStore(connection).write("left/a", {"x": "1"})


def test_the_root_token_of_the_environment_is_not_picked_up(
    bao: OpenBao, app_role: AppRole, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", ROOT_TOKEN)
    connection = connect(bao, auth=app_role)
    assert connection.client.token != ROOT_TOKEN
    with pytest.raises(Forbidden):
        connection.client.read("sys/mounts")
