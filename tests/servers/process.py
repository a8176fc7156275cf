"""Real servers for the tests: found, started on free ports, probed, broken, stopped by pid.

A server module (`tests/servers/consul.py`, ...) says where its program is and how it is
started; the faults it can suffer are here.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pytest

STOP_SECONDS = 10.0


def find_program(
    *names: str, install: str, elsewhere: Callable[[], str | None] = lambda: None
) -> str:
    """The path of a server program: from PATH, or where `elsewhere` (a PyPI package, say) has it.

    Without one the test skips and says how to get it (`install`, one command); in CI it fails,
    because a server that CI should have and has not would be a test that never runs.
    """
    for name in names:
        if found := shutil.which(name):
            return found
    if found := elsewhere():
        return found
    reason = f"{' or '.join(names)} is not on PATH; get it with: {install}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A loopback port that nobody listens on right now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_ports(count: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> list[int]:
    """Several different free ports at once."""
    probes = [socket.socket(socket.AF_INET, kind) for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def http_ok(url: str, contains: str = "", timeout: float = 1.0) -> bool:
    """Whether GET answers 2xx with `contains` in its body: the usual readiness probe."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return contains in answer.read().decode("utf-8", "replace")
    except (OSError, urllib.error.URLError, ValueError):
        return False


def wait_until(condition: Callable[[], object], seconds: float = 10.0, what: str = "") -> None:
    """Returns when `condition()` is truthy; raises TimeoutError, with its name, after `seconds`."""
    deadline = time.monotonic() + seconds
    pause = 0.005
    while not condition():
        if time.monotonic() > deadline:
            name = what or getattr(condition, "__name__", "condition")
            raise TimeoutError(f"not within {seconds} s: {name}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


class ServerProcess:
    """One server program in a folder of its own; a context manager that starts and stops it."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        ready: Callable[[], bool],
        *,
        env: Mapping[str, str] | None = None,
        folder: Path | None = None,
        ready_seconds: float = 60.0,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.ready = ready
        self.env = dict(env or {})
        self.ready_seconds = ready_seconds
        self.stop_signal = stop_signal
        self.removes_folder = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix=f"{name}-"))
        self.log_path = self.folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts the program and waits until it is ready; its log is in the error if it is not."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={**os.environ, **self.env},
                start_new_session=True,
            )
        try:
            wait_until(self._ready_or_dead, self.ready_seconds, f"{self.name} ready")
        except TimeoutError as error:
            self.kill()
            raise RuntimeError(f"{error}\n{self.log()[-4000:]}") from None

    def _ready_or_dead(self) -> bool:
        if not self.running:
            raise RuntimeError(f"{self.name} ended at its start:\n{self.log()[-4000:]}")
        return self.ready()

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        assert self.process is not None, f"{self.name} was not started"
        return self.process.pid

    def log(self) -> str:
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    def kill(self) -> None:
        """SIGKILL: the crash."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """The orderly end; SIGKILL when it takes more than `STOP_SECONDS`."""
        self.resume()
        self._end(self.stop_signal)

    def restart(self) -> None:
        """A crash and a new start on the same data, address and command."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: the server hangs, its connections stay open."""
        os.kill(self.pid, signal.SIGSTOP)
        wait_until(self._stopped, what=f"{self.name} stopped")

    def _stopped(self) -> bool:
        # The signal is on its way when kill() returns; until every thread has it, one may answer.
        tasks = Path(f"/proc/{self.pid}/task")
        if not tasks.exists():  # no Linux
            return True
        try:
            stats = [(task / "stat").read_text() for task in tasks.iterdir()]
        except OSError:  # a thread that ended while we looked
            return False
        return all(stat.rsplit(") ")[-1][0] in "Tt" for stat in stats)

    def resume(self) -> None:
        if self.running:
            os.kill(self.pid, signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        if self.running:
            self.process.send_signal(how)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> ServerProcess:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if self.removes_folder:
            shutil.rmtree(self.folder, ignore_errors=True)
