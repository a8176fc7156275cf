"""What went wrong with one path; the run goes on and the exit status says so."""

from __future__ import annotations

import errno
from dataclasses import dataclass

WORDS = {
    errno.EACCES: "no permission to read it",
    errno.EPERM: "not permitted",
    errno.ENOENT: "no such file or folder",
    errno.ELOOP: "a symbolic link that leads to itself",
    errno.ENOSPC: "no space left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "larger than this process may write",
    errno.EROFS: "on a read-only file system",
}


BUG = "this is a defect of jaeger2otlp, please report it"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """A path and, in words for the user, what is wrong with it."""

    path: str
    message: str


def from_error(path: str, error: OSError) -> Problem:
    """A problem in the user's words, from what the operating system said."""
    words = WORDS.get(error.errno or 0)
    return Problem(path, words or (error.strerror or str(error)).lower())


def defect(error: Exception) -> str:
    """What is said of a file that we failed at."""
    return f"left as it was: {type(error).__name__}: {error}; {BUG}"
