"""Replace a file's content so that a crash at any point leaves it either old or new."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

SUFFIX = ".jaeger2otlp-tmp"


class Unwritable(Exception):
    """The file was left as it was; the text says why, for the user."""


def replace_content(path: str, old: bytes, new: bytes) -> None:
    """Put `new` in the place of `old`, keeping the file's mode and owner.

    Raises:
        Unwritable: the file is read-only, or is no longer what was read.
        OSError: the disk is full, the folder is read-only, and the like.
    """
    target = os.path.realpath(path)
    status = os.stat(target)
    if not status.st_mode & 0o222:
        raise Unwritable("it is read-only; `chmod u+w` it first")
    with open(target, "rb") as file:
        if file.read() != old:
            raise Unwritable("it changed while we worked; run again")
    with _temporary(target, status) as (handle, temporary):
        _write(handle, new)
        os.replace(temporary, target)
    _sync_folder(os.path.dirname(target))


@contextlib.contextmanager
def _temporary(target: str, status: os.stat_result) -> Iterator[tuple[int, str]]:
    """A file beside `target`, gone afterwards. A name that a killed run left is used again."""
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name[:200]}{SUFFIX}")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with contextlib.suppress(OSError, AttributeError):
            os.fchown(handle, status.st_uid, status.st_gid)
        if hasattr(os, "fchmod"):
            os.fchmod(handle, stat.S_IMODE(status.st_mode))
        yield handle, temporary
    finally:
        os.close(handle)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _write(handle: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(handle, rest) :]
    os.fsync(handle)


def _sync_folder(folder: str) -> None:
    """Make the rename itself durable, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
