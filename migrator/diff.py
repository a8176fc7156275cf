"""Unified diffs of bytes, and their colours."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Sequence

CONTEXT = 3
NO_NEWLINE = b"\n\\ No newline at end of file\n"
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
STYLES = ((b"+++", "bold"), (b"---", "bold"), (b"@@", "cyan"), (b"+", "green"), (b"-", "red"))


def unified(path: str, old: bytes, new: bytes) -> bytes:
    """The diff that `git apply` and `patch -p1` take; empty where nothing changed.

    Of a file that is not below the working folder they take it in the root folder.
    """
    name = relative(path).replace(os.sep, "/").lstrip("/")
    before, after = _lines(old), _lines(new)
    head = _common(before, after)
    kept = max(0, head - CONTEXT)
    body = difflib.diff_bytes(
        difflib.unified_diff,
        before[kept:],
        after[kept:],
        _quoted("a/" + name),
        _quoted("b/" + name),
        n=CONTEXT,
    )
    return b"".join(
        line if line.endswith(b"\n") else line + NO_NEWLINE for line in _moved(body, kept)
    )


def relative(path: str) -> str:
    """The path as a user would type it: relative to the working folder where it is below it."""
    below = os.path.relpath(path)
    return path if below.startswith(os.pardir) else below


def shown(path: str) -> str:
    """The same for a line that a person reads: a name must not break it, nor steer a terminal."""
    return CONTROL.sub(lambda match: repr(match[0])[1:-1], relative(path))


def _quoted(name: str) -> bytes:
    """As git writes odd names, so that `git apply` takes them."""
    raw = name.encode("utf-8", "surrogateescape")
    if not CONTROL.search(name):
        return raw
    return b'"%s"' % b"".join(
        b"\\%03o" % byte if byte < 32 or byte in b'"\\\x7f' else bytes((byte,)) for byte in raw
    )


def style_of(line: bytes) -> str:
    """The colour of one line of a diff."""
    return next((style for start, style in STYLES if line.startswith(start)), "")


def _lines(text: bytes) -> list[bytes]:
    lines = text.split(b"\n")
    last = lines.pop()
    return [line + b"\n" for line in lines] + ([last] if last else [])


def _common(before: Sequence[bytes], after: Sequence[bytes]) -> int:
    count = 0
    for old, new in zip(before, after, strict=False):
        if old != new:
            break
        count += 1
    return count


def _moved(body: Iterator[bytes], lines: int) -> Iterator[bytes]:
    """Count the lines that were cut off the head back into the hunks' positions."""
    for line in body:
        if not lines or not line.startswith(b"@@ "):
            yield line
            continue
        _, old, new, rest = line.split(b" ", 3)
        yield b"@@ %s %s %s" % (_shift(old, lines), _shift(new, lines), rest)


def _shift(position: bytes, lines: int) -> bytes:
    start, comma, length = position[1:].partition(b",")
    return position[:1] + b"%d" % (int(start) + lines) + comma + length
