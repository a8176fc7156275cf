"""What git says: which files it ignores, and whether work that is not committed is at risk."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

from migrator.exits import Failure

NO_VCS = "not under git, so a rewrite could not be undone; `git init`, or pass --allow-no-vcs"
DIRTY = "{root} has changes that are not committed; commit or stash them, or pass --allow-dirty"


@dataclass(frozen=True, slots=True)
class Status:
    """Paths below `root`, relative to it: `changed` since the last commit, and `untracked`."""

    root: str
    changed: tuple[str, ...]
    untracked: tuple[str, ...]


def repository_of(path: str) -> str | None:
    """The innermost folder above (or at) `path` that holds `.git`; None outside of git."""
    folder = os.path.realpath(path)
    while True:
        if os.path.exists(os.path.join(folder, ".git")):
            return folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def ignored(paths: Iterable[str]) -> set[str]:
    """Those of `paths` that git ignores. Tracked files never are; without git, none is."""
    found: set[str] = set()
    for root, members in _by_repository(paths).items():
        relative = {_relative(path, root): path for path in members}
        asked = "\0".join(relative).encode("utf-8", "surrogateescape")
        answer = _git(root, "check-ignore", "-z", "--stdin", asked=asked)
        if answer is not None:
            found.update(relative[name] for name in _names(answer) if name in relative)
    return found


def status(root: str) -> Status:
    """What is not committed in the repository at `root`.

    Raises:
        Failure: git is missing or refuses.
    """
    answer = _git(root, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames")
    if answer is None:
        raise Failure(f"git cannot tell whether {root} is clean; `git -C {root} status` says why")
    changed: list[str] = []
    untracked: list[str] = []
    for line in _names(answer):
        (untracked if line.startswith("??") else changed).append(line[3:])
    return Status(root, tuple(changed), tuple(untracked))


def refuse_risk(paths: Iterable[str], *, allow_dirty: bool, allow_no_vcs: bool) -> None:
    """Refuse to write over what could not be brought back.

    Raises:
        Failure: a file is under no version control, or the tree holds uncommitted changes, or a
            file to be written was never added; the text names the flag that overrules it.
    """
    for root, members in _by_repository(paths, outside="").items():
        if not root:
            if not allow_no_vcs:
                raise Failure(_list(NO_VCS, members))
            continue
        if allow_dirty:
            continue
        state = status(root)
        targets = {_relative(path, root) for path in members}
        risky = [*state.changed, *sorted(targets.intersection(state.untracked))]
        if risky:
            raise Failure(_list(DIRTY.format(root=root), risky))


def _list(reason: str, paths: list[str]) -> str:
    shown = "".join(f"\n  {path}" for path in sorted(paths)[:10])
    more = f"\n  ... and {len(paths) - 10} more" if len(paths) > 10 else ""
    return f"{reason}:{shown}{more}"


def _by_repository(paths: Iterable[str], outside: str | None = None) -> dict[str, list[str]]:
    roots: dict[str, str | None] = {}
    grouped: dict[str, list[str]] = {}
    for path in paths:
        folder = os.path.dirname(os.path.abspath(path))
        if folder not in roots:
            roots[folder] = repository_of(folder)
        root = roots[folder] if roots[folder] is not None else outside
        if root is not None:
            grouped.setdefault(root, []).append(path)
    return grouped


def _relative(path: str, root: str) -> str:
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.relpath(os.path.join(os.path.realpath(folder), name), root).replace(os.sep, "/")


def _names(answer: bytes) -> list[str]:
    return [name.decode("utf-8", "surrogateescape") for name in answer.split(b"\0") if name]


def _git(root: str, *arguments: str, asked: bytes = b"") -> bytes | None:
    """The output, or None where git is missing or failed (1 is `check-ignore` finding none)."""
    command = ("git", "-C", root, "-c", "core.fsmonitor=false", *arguments)
    try:
        result = subprocess.run(command, input=asked, capture_output=True, check=False)
    except OSError:
        return None
    return result.stdout if result.returncode in (0, 1) else None
