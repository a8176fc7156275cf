"""Running the programs of one side: services, readiness, the driver, and a clean end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

GRACE = 5.0  # seconds between SIGTERM and SIGKILL
SHOWN_LINES = 40


class CouldNotRun(Exception):
    """A side could not be run to its end; the text tells the user why and shows the output."""


@dataclass(frozen=True, slots=True)
class Program:
    """One process to start. `ready` is a URL, "tcp HOST:PORT", "says TEXT", or empty."""

    name: str
    command: tuple[str, ...]
    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)
    ready: str = ""


class Running:
    """A started program with everything it starts (one process group), its output in a file."""

    def __init__(self, program: Program, env: Mapping[str, str]) -> None:
        self.program = program
        self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                program.command,
                cwd=program.folder,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **env},
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            self._output.close()
            raise CouldNotRun(
                f"{program.name}: cannot start {program.command[0]}: {error}"
            ) from error

    @property
    def status(self) -> int | None:
        return self._process.poll()

    def output(self) -> str:
        """Everything it wrote so far, standard error included."""
        size = os.fstat(self._output.fileno()).st_size
        return os.pread(self._output.fileno(), size, 0).decode(errors="replace")

    def wait(self, deadline: float) -> int:
        """Its exit status.

        Raises:
            CouldNotRun: it did not end in time.
        """
        try:
            return self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise self.failure(
                "did not end in time. Is it a server? Then write a file that names its driver "
                "(`jaeger2otlp compare --help`), or give it more time with --timeout"
            ) from None

    def wait_for_the_rest(self, seconds: float = GRACE) -> bool:
        """Whether everything it started has ended too, after at most so many seconds."""
        deadline = time.monotonic() + seconds
        while self._alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        return not self._alive()

    def wait_ready(self, deadline: float) -> None:
        """Return once it answers as `ready` says.

        Raises:
            CouldNotRun: it ended, or was not ready in time.
        """
        while not self._is_ready():
            if self.status is not None:
                raise self.failure(f"ended with status {self.status} before it was ready")
            if time.monotonic() > deadline:
                raise self.failure(f"was not ready in time ({self.program.ready})")
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        how, _, what = self.program.ready.partition(" ")
        if not how:
            return True
        if how == "says":
            return what in self.output()
        try:
            if how == "tcp":
                host, _, port = what.rpartition(":")
                socket.create_connection((host, int(port)), 1).close()
            else:
                urllib.request.urlopen(how, timeout=1).close()
        except urllib.error.HTTPError:
            return True  # it answers, if only with an error
        except OSError:
            return False
        return True

    def failure(self, what: str) -> CouldNotRun:
        lines = self.output().splitlines()
        shown = "\n".join(f"  | {line}" for line in lines[-SHOWN_LINES:]) or "  | (no output)"
        command = " ".join(self.program.command)
        return CouldNotRun(f"{self.program.name} {what}.\n  $ {command}\n{shown}")

    def end(self) -> None:
        """End the whole process group: SIGTERM, then SIGKILL after a grace period."""
        self._signal(signal.SIGTERM)
        self.wait_for_the_rest()
        self._signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """End it and let go of its output."""
        self.end()
        self._output.close()

    def _alive(self) -> bool:
        self._process.poll()
        return self._signal(0)

    def _signal(self, number: int) -> bool:
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
