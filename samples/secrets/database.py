"""How the sample's PostgreSQL is started from the machine's own programs."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

PASSWORD = "superuser-of-this-sample"


def command(postgres: str, home: Path, port: int) -> list[str]:
    """Makes the data in `home`; how the server is run. As user postgres, when we are root."""
    password, data = home / "password", home / "data"
    password.write_text(PASSWORD)
    run_as: list[str] = []
    if os.getuid() == 0:
        user = pwd.getpwnam("postgres")
        for path in (home, password):
            shutil.chown(path, user.pw_uid, user.pw_gid)
        run_as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"]
    initdb = [str(Path(postgres).with_name("initdb")), "-D", str(data), "-A", "scram-sha-256"]
    initdb += ["-U", "postgres", f"--pwfile={password}", "--no-sync"]
    subprocess.run([*run_as, *initdb], check=True, capture_output=True, cwd=home)
    serve = [postgres, "-D", str(data), "-p", str(port), "-c", "listen_addresses=127.0.0.1"]
    return [*run_as, *serve, "-c", f"unix_socket_directories={home}"]
