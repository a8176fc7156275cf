"""Starts a real PostgreSQL with a password for its superuser."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.process import ServerProcess, find_program, free_port

INSTALL = "apt-get install -y postgresql"
PASSWORD = "superuser-of-this-test"


def program(name: str) -> str:
    return find_program(name, install=INSTALL, elsewhere=lambda: _in_debian(name))


def _in_debian(name: str) -> str | None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else None


class Postgres(ServerProcess):
    """Listens on 127.0.0.1:`port`, user postgres with `PASSWORD`."""

    def __init__(self) -> None:
        self.port = free_port()
        folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        data = folder / "data"
        password_file = folder / "password"
        password_file.write_text(PASSWORD)
        # It refuses to run as root.
        run_as = _run_as_postgres(folder) if os.getuid() == 0 else []
        initdb = [program("initdb"), "-D", str(data), "-A", "scram-sha-256", "-U", "postgres"]
        initdb += [f"--pwfile={password_file}", "--no-sync"]
        subprocess.run([*run_as, *initdb], check=True, capture_output=True, cwd=folder)
        command = [program("postgres"), "-D", str(data), "-p", str(self.port)]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
        command += ["-c", "fsync=off"]
        probe = [program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        super().__init__(
            "postgres",
            [*run_as, *command],
            lambda: subprocess.run(probe, check=False).returncode == 0,
            folder=folder,
            stop_signal=signal.SIGINT,
        )
        self.removes_folder = True


def _run_as_postgres(folder: Path) -> list[str]:
    user = pwd.getpwnam("postgres")
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, user.pw_uid, user.pw_gid)
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"]


@contextmanager
def one_postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server  # type: ignore[misc]
