"""Builds the peers: services on the dead Jaeger clients of Go, Node and Java, and a virtual
environment with the dead OpenTracing adapters of Python.

    python -m tests.peers.build [go node java adapters]

Needs the language's usual tools (go; node and npm; a JDK and maven) and its package registry.
What is built goes to $XDG_CACHE_HOME/jaeger2otlp/peers (else ~/.cache) and is built again only
when its sources change.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import venv
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
BUILD_SECONDS = 600


class ToolMissingError(Exception):
    """A tool that the build needs is not installed; the text names it."""


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "jaeger2otlp" / "peers"


def build(name: str) -> list[str]:
    """The command that starts the peer (for `adapters`: its Python), built when it is not yet."""
    tools, make, command = _PEERS[name]
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing:
        raise ToolMissingError(f"{name} peer needs {' and '.join(missing)}")
    folder = cache_folder() / f"{name}-{_fingerprint(HERE / name)}"
    with _LOCKS[name]:
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            unfinished = folder.with_name(f"{folder.name}.{os.getpid()}")
            shutil.copytree(HERE / name, unfinished)
            make(unfinished)
            _into_place(unfinished, folder)
    return command(folder)


def _into_place(unfinished: Path, folder: Path) -> None:
    try:
        unfinished.rename(folder)
    except OSError:
        if not folder.exists():
            raise
        shutil.rmtree(unfinished)


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _run(folder: Path, *command: str) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=BUILD_SECONDS,
    )
    if done.returncode:
        said = (done.stdout + done.stderr)[-4000:]
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{said}")


def _make_go(folder: Path) -> None:
    _run(folder, "go", "build", "-o", "peer", ".")


def _make_node(folder: Path) -> None:
    _run(folder, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")


def _make_java(folder: Path) -> None:
    _run(folder, "mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=jars")
    _run(folder, "javac", "-cp", "jars/*", "Peer.java")


def _make_adapters(folder: Path) -> None:
    venv.create(folder / "venv", with_pip=True, symlinks=True)
    python = str(folder / "venv" / "bin" / "python")
    pip = (python, "-m", "pip", "install", "-q", "--no-deps")
    _run(folder, *pip, "-r", "requirements.txt")
    _run(folder, *pip, "--target", "tornado", "-r", "tornado.txt")


_PEERS: dict[str, tuple[list[str], Callable[[Path], None], Callable[[Path], list[str]]]] = {
    "go": (["go"], _make_go, lambda folder: [str(folder / "peer")]),
    "node": (["node", "npm"], _make_node, lambda folder: ["node", str(folder / "peer.js")]),
    "java": (
        ["java", "javac", "mvn"],
        _make_java,
        lambda folder: ["java", "-Xshare:auto", "-cp", f"{folder}:{folder}/jars/*", "Peer"],
    ),
    "adapters": ([], _make_adapters, lambda folder: [str(folder / "venv" / "bin" / "python")]),
}
PEERS = tuple(_PEERS)
_LOCKS = {name: threading.Lock() for name in PEERS}


def main(names: list[str]) -> int:
    failed = 0
    for name in names or _PEERS:
        try:
            print(f"{name}: {' '.join(build(name))}", flush=True)
        except (ToolMissingError, RuntimeError, subprocess.TimeoutExpired) as error:
            print(f"{name}: not built: {error}", file=sys.stderr, flush=True)
            failed = 1
    return failed


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
