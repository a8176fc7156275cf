"""A real Consul agent: in memory (`dev`), on disk, with ACLs and mTLS, or three servers."""

from __future__ import annotations

import functools
import json
import subprocess
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.servers.process import ServerProcess, find_program, free_ports, http_ok, wait_until

INSTALL = "make servers"
MANAGEMENT = "0a1b2c3d-4e5f-4a6b-8c7d-9e8f7a6b5c4d"  # the ACL token that may do everything


class Consul(ServerProcess):
    """One agent. Its HTTP API is on `port`; with TLS that of its clients is on `https_port`."""

    port: int
    https_port: int
    rpc_port: int
    reader: str = ""  # with ACLs: a token that may only read

    def api(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        """A plain request past our adapter: what a test arranges or checks with."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=body if isinstance(body, bytes) else json.dumps(body).encode() if body else None,
            method=method,
            headers={"X-Consul-Token": token} if token else {},
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            text = answer.read()
        return json.loads(text) if text else None


def dev(*extra: str, config: dict[str, Any] | None = None, log_level: str = "warn") -> Consul:
    """An agent that forgets everything when it is restarted; at "debug" it logs every request."""
    return _agent(["-dev", "-node=dev1", f"-log-level={log_level}", *extra], config or {})


def durable() -> Consul:
    """A server of its own that keeps its data over a restart."""
    quick = {"performance": {"raft_multiplier": 1}}
    return _agent(["-server", "-bootstrap-expect=1", "-data-dir=data", "-node=solo"], quick)


def with_acl() -> Consul:
    """Denies by default; the token `MANAGEMENT` may do everything."""
    acl = {
        "enabled": True,
        "default_policy": "deny",
        "tokens": {
            "initial_management" if _is_new(_program()) else "master": MANAGEMENT,
            "agent": MANAGEMENT,
        },
    }
    return dev(config={"acl": acl})


def with_mtls(folder: Path) -> Consul:
    """Serves HTTPS to clients that have a certificate; plain HTTP stays for the probe."""
    files = {
        "ca_file": str(folder / "consul-agent-ca.pem"),
        "cert_file": str(folder / "dc1-server-consul-0.pem"),
        "key_file": str(folder / "dc1-server-consul-0-key.pem"),
    }
    (https_port,) = free_ports(1)
    if _is_new(_program()):
        config = {"tls": {"defaults": files, "https": {"verify_incoming": True}}}
    else:
        config = {**files, "verify_incoming_https": True}
    agent = dev(f"-https-port={https_port}", config=config)
    agent.https_port = https_port
    return agent


def make_certificates(folder: Path) -> None:
    """A new CA, with a certificate for a server and one for a client."""
    program = _program()
    for arguments in ("ca create", "cert create -server", "cert create -client"):
        command = [program, "tls", *arguments.split()]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)


def client_files(folder: Path) -> dict[str, str]:
    """The settings of a client that uses them."""
    return {
        "ca": str(folder / "consul-agent-ca.pem"),
        "certificate": str(folder / "dc1-client-consul-0.pem"),
        "key": str(folder / "dc1-client-consul-0-key.pem"),
    }


@contextmanager
def cluster(size: int = 3) -> Iterator[list[Consul]]:
    """Servers that have elected a leader. All start at once: none has one before the others run."""
    ports = [free_ports(4) for _ in range(size)]
    joins = [f"-retry-join=127.0.0.1:{serf}" for _, serf, _, _ in ports]
    quick = {"performance": {"raft_multiplier": 1}}
    common = ["-server", f"-bootstrap-expect={size}", "-data-dir=data", *joins]
    servers = [
        _agent([*common, f"-node=n{number}"], quick, own) for number, own in enumerate(ports)
    ]
    with ExitStack() as running, ThreadPoolExecutor(size) as pool:
        list(pool.map(running.enter_context, servers))
        yield servers


def leader_of(servers: list[Consul]) -> Consul:
    """The server that leads now."""
    found: list[Consul] = []

    def known() -> bool:
        address = servers[0].api("GET", "/v1/status/leader")
        found.extend(server for server in servers if address.endswith(f":{server.rpc_port}"))
        return bool(found)

    wait_until(known, 20)
    return found[0]


def _agent(arguments: list[str], config: dict[str, Any], ports: list[int] | None = None) -> Consul:
    program = _program()
    http, serf, wan, rpc = ports or free_ports(4)
    command = [
        program, "agent", *arguments, "-config-dir=config",
        "-bind=127.0.0.1", "-client=127.0.0.1", f"-http-port={http}", "-dns-port=-1",
        f"-serf-lan-port={serf}", f"-serf-wan-port={wan}", f"-server-port={rpc}",
        "-grpc-port=-1", "-disable-host-node-id",
        *(["-grpc-tls-port=-1"] if _is_new(program) else []),
    ]  # fmt: skip
    agent = Consul("consul", command, lambda: _has_leader(http))
    agent.port = http
    agent.rpc_port = rpc
    (agent.folder / "config").mkdir()
    (agent.folder / "config" / "agent.json").write_text(json.dumps(config))
    return agent


def _program() -> str:
    return find_program("consul", install=INSTALL)


@functools.cache
def _is_new(program: str) -> bool:
    """From 1.14 on; Debian's is 1.8."""
    answer = subprocess.run([program, "version"], capture_output=True, text=True, check=True)
    major, minor = answer.stdout.split()[1].lstrip("v").split(".")[:2]
    return (int(major), int(minor)) >= (1, 14)


def _has_leader(port: int) -> bool:
    return http_ok(f"http://127.0.0.1:{port}/v1/status/leader", contains=":")
