"""Walk a tree once and keep the Python files that a byte search finds worth a parse."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch

from migrator import manifests
from migrator.problem import Problem, from_error

SUFFIXES = (".py", ".pyw")
# fmt: off
SKIPPED_FOLDERS = frozenset((
    ".bzr", ".direnv", ".eggs", ".git", ".hg", ".ipynb_checkpoints", ".mypy_cache", ".nox",
    ".pants.d", ".pyenv", ".pytest_cache", ".pytype", ".ruff_cache", ".svn", ".tox", ".venv",
    ".vscode", "__pycache__", "__pypackages__", "buck-out", "node_modules", "site-packages", "venv",
))
# fmt: on
VIRTUALENV_MARK = "pyvenv.cfg"
LARGEST = 2_000_000  # bytes; what is larger is taken for generated
TOO_LARGE = f"too large to rewrite (more than {LARGEST / 1e6:g} MB); split it first"
BLOCK = 1 << 20
OVERLAP = 256  # longer than any needle
# A file that became a pipe since the walk must not be waited for.
FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)

Predicate = Callable[[bytes], bool]


@dataclass(slots=True)
class Tree:
    """The Python files under one path, and what could not be entered."""

    files: list[str] = field(default_factory=list)
    manifests: list[str] = field(default_factory=list)  # files that may name requirements
    problems: list[Problem] = field(default_factory=list)


def walk(root: str, exclude: Iterable[str] = ()) -> Tree:
    """List the Python files under `root`, never through a symbolic link.

    A link that leads out of the tree is a problem; one that stays inside is not followed either,
    because what it leads to is found where it is. `exclude` holds patterns for `is_excluded`.
    """
    tree = Tree()
    patterns = tuple(exclude)
    real_root = os.path.realpath(root)
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as scan:
                entries = list(scan)
        except OSError as error:
            tree.problems.append(from_error(folder, error))
            continue
        if any(entry.name == VIRTUALENV_MARK for entry in entries):
            continue
        for entry in entries:
            _sort_in(entry, tree, folders, root=root, real_root=real_root, patterns=patterns)
    tree.files.sort()
    return tree


def _sort_in(
    entry: os.DirEntry[str],
    tree: Tree,
    folders: list[str],
    *,
    root: str,
    real_root: str,
    patterns: tuple[str, ...],
) -> None:
    python = entry.name.endswith(SUFFIXES)
    manifest = not python and manifests.FILES.fullmatch(entry.name) is not None
    if entry.is_symlink():
        if not _is_excluded(entry.path, root, patterns):
            tree.problems.extend(_link_problems(entry, real_root, python=python))
    elif entry.is_dir():
        if entry.name not in SKIPPED_FOLDERS and not _is_excluded(entry.path, root, patterns):
            folders.append(entry.path)
    elif (python or manifest) and entry.is_file() and not _is_excluded(entry.path, root, patterns):
        if python:
            tree.files.append(entry.path)
        if manifest or entry.name == "setup.py":
            tree.manifests.append(entry.path)


def _link_problems(entry: os.DirEntry[str], real_root: str, *, python: bool) -> Iterator[Problem]:
    try:
        folder = entry.is_dir()
    except OSError as error:
        yield from_error(entry.path, error)
        return
    if entry.name in SKIPPED_FOLDERS or not (python or folder):
        return
    target = os.path.realpath(entry.path)
    if not os.path.exists(target):
        yield Problem(entry.path, "a symbolic link that leads nowhere")
    elif os.path.commonpath((target, real_root)) != real_root:
        yield Problem(entry.path, f"a symbolic link out of the tree, to {target}; not followed")


def is_excluded(path: str, patterns: Iterable[str]) -> bool:
    """Whether a pattern matches the relative `path`, one of its parents, or one of their names."""
    parts = path.replace(os.sep, "/").split("/")
    prefixes = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    return any(
        fnmatch(name, pattern.removeprefix("./").strip("/"))
        for pattern in patterns
        for name in (*parts, *prefixes)
    )


def _is_excluded(path: str, root: str, patterns: tuple[str, ...]) -> bool:
    return bool(patterns) and is_excluded(os.path.relpath(path, root), patterns)


@dataclass(slots=True)
class Hits:
    """The files a search found, with their bytes, and the files it could not read."""

    sources: dict[str, bytes] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def search(files: Iterable[str], predicate: Predicate) -> Hits:
    """Read every file and keep those that satisfy `predicate`; hits over LARGEST are problems."""
    hits = Hits()
    for path in files:
        try:
            source = _read_if(path, predicate)
        except OSError as error:
            hits.problems.append(from_error(path, error))
            continue
        if source is None:
            continue
        if len(source) > LARGEST:
            hits.problems.append(Problem(path, TOO_LARGE))
        else:
            hits.sources[path] = source
    return hits


def _read_if(path: str, predicate: Predicate) -> bytes | None:
    handle = os.open(path, FLAGS)
    try:
        source = os.read(handle, LARGEST + 1)
        if len(source) > LARGEST:
            return _search_blocks(handle, source, predicate)
        return source if predicate(source) else None
    finally:
        os.close(handle)


def _search_blocks(handle: int, first: bytes, predicate: Predicate) -> bytes | None:
    """The `first` block of a large file if any of its blocks is a hit."""
    block = first
    while not predicate(block):
        more = os.read(handle, BLOCK)
        if not more:
            return None
        block = block[-OVERLAP:] + more
    return first
