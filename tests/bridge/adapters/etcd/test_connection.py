"""Reaching etcd: users, TLS, dead, hanging and silent servers, a cluster that loses its leader."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from aetcd import rpc

from bridge.adapters.errors import (
    AdapterError,
    Closed,
    DeadlineExceeded,
    Forbidden,
    TlsRefused,
    Unauthenticated,
    Unavailable,
)
from bridge.adapters.etcd import EtcdConnection, EtcdStore, Tls
from tests.bridge.adapters.canaries import Canaries
from tests.bridge.adapters.etcd.conftest import Connect
from tests.servers.etcd import Etcd, TlsFiles, one_etcd, three_etcds
from tests.servers.faults import TcpProxy
from tests.servers.process import free_port
from tests.servers.watchers import Telemetry


def test_nobody_listening_is_unavailable_at_once(connect: Connect, telemetry: Telemetry) -> None:
    started = time.monotonic()
    with pytest.raises(Unavailable):
        EtcdStore(connect(f"127.0.0.1:{free_port()}")).get("a")
    assert time.monotonic() - started < 2
    span = telemetry.span("range")
    assert span.attributes is not None
    assert span.attributes["error.type"] == "UNAVAILABLE"
    assert not span.events


def test_the_next_endpoint_is_tried(
    shared_etcd: Etcd, connect: Connect, telemetry: Telemetry
) -> None:
    store = EtcdStore(connect(f"127.0.0.1:{free_port()}", shared_etcd.address))
    store.put("failover/a", "1")
    span = telemetry.span("put failover/")
    assert span.attributes is not None
    assert span.attributes["server.port"] == int(shared_etcd.address.split(":")[1])


def test_a_hanging_server_ends_in_the_deadline(own_etcd: Etcd, connect: Connect) -> None:
    store = EtcdStore(connect(own_etcd.address, timeout=0.5))
    store.put("a", "1")
    own_etcd.pause()
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        store.get("a")
    assert time.monotonic() - started < 2
    own_etcd.resume()
    assert store.get("a") is not None


def test_data_and_connection_survive_a_crash(own_etcd: Etcd, connect: Connect) -> None:
    store = EtcdStore(connect(own_etcd.address))
    store.put("a", "1")
    own_etcd.kill()
    with pytest.raises(Unavailable):
        store.get("a")
    own_etcd.start()
    deadline = time.monotonic() + 10
    while True:
        try:
            entry = store.get("a")
            break
        except Unavailable:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert entry is not None


def test_calls_share_one_connection(shared_etcd: Etcd, connect: Connect) -> None:
    with TcpProxy(int(shared_etcd.address.split(":")[1])) as proxy:
        store = EtcdStore(connect(f"127.0.0.1:{proxy.port}"))
        for _ in range(10):
            store.get("app/a")
        assert proxy.connections == 1


def test_a_half_open_connection_ends_in_the_deadline(own_etcd: Etcd, connect: Connect) -> None:
    with TcpProxy(int(own_etcd.address.split(":")[1])) as proxy:
        store = EtcdStore(connect(f"127.0.0.1:{proxy.port}", timeout=0.5))
        store.put("a", "1")
        proxy.silence()
        with pytest.raises(DeadlineExceeded):
            store.get("a")


def test_a_closed_connection_says_so(shared_etcd: Etcd, connect: Connect) -> None:
    connection = connect(shared_etcd.address)
    connection.close()
    with pytest.raises(Closed):
        EtcdStore(connection).get("a")


# --- the context goes out


def test_etcds_own_server_span_is_a_child_of_ours(connect: Connect, telemetry: Telemetry) -> None:
    from bridge.otlp.receiver import OtlpReceiver

    with OtlpReceiver() as receiver:
        tracing = [
            "--experimental-enable-distributed-tracing",
            f"--experimental-distributed-tracing-address=127.0.0.1:{receiver.grpc_port}",
            "--experimental-distributed-tracing-service-name=etcd",
        ]
        with one_etcd(extra=tracing) as server:
            EtcdStore(connect(server.address)).put("traced/a", "1")
            ours = telemetry.span("put traced/").get_span_context()
            assert ours is not None
            deadline = time.monotonic() + 20
            while not any(span.name == "etcdserverpb.KV/Put" for span in receiver.spans):
                assert time.monotonic() < deadline, [span.name for span in receiver.spans]
                time.sleep(0.05)
        theirs = next(span for span in receiver.spans if span.name == "etcdserverpb.KV/Put")
        assert theirs.parent_span_id == ours.span_id.to_bytes(8, "big")
        assert theirs.trace_id == ours.trace_id.to_bytes(16, "big")


# --- users


@pytest.fixture(scope="module")
def guarded_etcd() -> Iterator[Etcd]:
    """With users, and tokens that live 3 s (and longer with every use) instead of 300."""
    with one_etcd(extra=["--auth-token-ttl=3"]) as server, guard(server):
        yield server


@contextmanager
def guard(server: Etcd) -> Iterator[EtcdConnection]:
    """Makes the users root, and reader who may only read under app/; a connection of root's."""
    read = rpc.Permission(permType=rpc.Permission.READ, key=b"app/", range_end=b"app0")
    with EtcdConnection([server.address]) as admin:
        for method, request in (
            ("UserAdd", rpc.AuthUserAddRequest(name="root", password="root-pw")),
            ("RoleAdd", rpc.AuthRoleAddRequest(name="root")),
            ("UserGrantRole", rpc.AuthUserGrantRoleRequest(user="root", role="root")),
            ("UserAdd", rpc.AuthUserAddRequest(name="reader", password="reader-pw")),
            ("RoleAdd", rpc.AuthRoleAddRequest(name="readers")),
            (
                "RoleGrantPermission",
                rpc.AuthRoleGrantPermissionRequest(name="readers", perm=read),
            ),
            ("UserGrantRole", rpc.AuthUserGrantRoleRequest(user="reader", role="readers")),
            ("AuthEnable", rpc.AuthEnableRequest()),
        ):
            admin.invoke("set up", f"Auth.{method}", request)
    with EtcdConnection([server.address], user="root", password="root-pw") as root:
        yield root


def test_a_user_may_do_what_its_role_allows(guarded_etcd: Etcd, connect: Connect) -> None:
    EtcdStore(connect(guarded_etcd.address, user="root", password="root-pw")).put("app/a", "1")
    reader = EtcdStore(connect(guarded_etcd.address, user="reader", password="reader-pw"))
    assert reader.get("app/a") is not None
    with pytest.raises(Forbidden):
        reader.put("app/a", "2")


def test_a_wrong_password_is_unauthenticated_and_not_shown(
    guarded_etcd: Etcd, connect: Connect, canaries: Canaries
) -> None:
    password = canaries.make("password")
    with pytest.raises(Unauthenticated):
        EtcdStore(connect(guarded_etcd.address, user="root", password=password)).get("app/a")


def test_no_user_is_unauthenticated(guarded_etcd: Etcd, connect: Connect) -> None:
    with pytest.raises(Unauthenticated):
        EtcdStore(connect(guarded_etcd.address)).get("app/a")


def test_an_expired_token_is_renewed(guarded_etcd: Etcd, connect: Connect) -> None:
    reader = EtcdStore(connect(guarded_etcd.address, user="reader", password="reader-pw"))
    reader.get("app/a")
    time.sleep(5)
    reader.get("app/a")


# --- TLS


@pytest.fixture(scope="module")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tls")
    files = {}
    for name in ("ours", "other"):
        authority = trustme.CA()
        pair = authority.issue_cert("127.0.0.1", "localhost")
        for what, blob in (
            ("ca", authority.cert_pem),
            ("key", pair.private_key_pem),
        ):
            files[f"{name}-{what}"] = folder / f"{name}-{what}.pem"
            blob.write_to_path(str(files[f"{name}-{what}"]))
        files[f"{name}-cert"] = folder / f"{name}-cert.pem"
        files[f"{name}-cert"].write_bytes(b"".join(p.bytes() for p in pair.cert_chain_pems))
    return files


@pytest.fixture(scope="module")
def tls_etcd(tls_files: dict[str, Path]) -> Iterator[Etcd]:
    files = TlsFiles(tls_files["ours-ca"], tls_files["ours-cert"], tls_files["ours-key"])
    with one_etcd(tls=files) as server:
        yield server


def test_mutual_tls_works(tls_etcd: Etcd, tls_files: dict[str, Path], connect: Connect) -> None:
    tls = Tls(tls_files["ours-ca"], tls_files["ours-cert"], tls_files["ours-key"])
    EtcdStore(connect(tls_etcd.address, tls=tls)).put("a", "1")


@pytest.mark.parametrize("ca", ["ours", "other"])
def test_the_wrong_ca_and_a_missing_certificate_are_told_apart_from_a_dead_server(
    tls_etcd: Etcd, tls_files: dict[str, Path], connect: Connect, ca: str
) -> None:
    tls = Tls(tls_files[f"{ca}-ca"])  # and no client certificate
    with pytest.raises(AdapterError) as caught:
        EtcdStore(connect(tls_etcd.address, tls=tls)).get("a")
    assert isinstance(caught.value, TlsRefused if ca == "other" else Unavailable)


# --- three members


def test_losing_the_leader_costs_at_most_one_failed_call(connect: Connect) -> None:
    with three_etcds() as members:
        connection = connect(*(member.address for member in members), timeout=3)
        store = EtcdStore(connection)
        store.put("a", "1")
        next(member for member in members if member.leads).kill()
        failures = 0
        for attempt in range(10):
            try:
                store.put("a", str(attempt))
            except Unavailable:
                failures += 1
        assert failures <= 2
        entry = store.get("a")
        assert entry is not None
        assert entry.text == "9"


def test_without_a_quorum_only_a_serializable_read_answers(connect: Connect) -> None:
    with three_etcds() as members:
        store = EtcdStore(connect(members[2].address, timeout=1.5))
        store.put("a", "1")
        members[0].kill()
        members[1].kill()
        with pytest.raises(Unavailable):
            store.get("a")
        entry = store.get("a", serializable=True)
        assert entry is not None
        assert entry.text == "1"
