"""The files that may import a module, by a byte search: to parse a whole project would be slow."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from codemods import is_candidate
from migrator import discovery
from migrator.module import SOURCE_FOLDER, Module


class _Way(NamedTuple):
    """What the text of an importer holds: all names of the import, and a word that it then uses."""

    names: tuple[bytes, ...]
    words: tuple[bytes, ...]


# For each target the ways to it, nearest first: a folder, with a dot behind, and how files below
# it, but not below the one before, import the target.
_Ways = list[tuple[str, _Way]]


def search(
    modules: Iterable[Module], targets: Mapping[Module, Collection[str]]
) -> dict[str, bytes]:
    """The sources, by name, of the `modules` that may use one of a target's words."""
    ways = [list(_ways(target, words)) for target, words in targets.items()]
    folders: dict[str, dict[str, str]] = {}
    for module in modules:
        folders.setdefault(module.folder, {})[module.path] = module.name
    found: dict[str, bytes] = {}
    for folder, names in folders.items():
        if near := _ways_from(folder + ".", ways):
            hits = discovery.search(names, partial(_may_go, near))
            found.update((names[path], source) for path, source in hits.sources.items())
    return found


def _ways(target: Module, words: Collection[str]) -> Iterator[tuple[str, _Way]]:
    """An import spells the folders from the nearest one above both files; `src` may be left out.

    No more ways where a folder's name is none of Python's, or is searched for anyway.
    """
    names = () if target.is_package else (target.name.rpartition(".")[2],)
    folder = target.folder
    while all(map(str.isidentifier, names)) and not is_candidate(".".join(names).encode()):
        spelled = names[1:] if len(names) > 1 and names[0] == SOURCE_FOLDER else names
        way = _Way(tuple(map(str.encode, spelled)), (*map(str.encode, words), b"import *"))
        yield folder and folder + ".", way
        if not folder:
            return
        folder, _, last = folder.rpartition(".")
        names = (last, *names)


def _ways_from(folder: str, ways: Iterable[_Ways]) -> dict[bytes, list[_Way]]:
    """The ways that files in `folder` can go, by their first name."""
    found: dict[bytes, list[_Way]] = {}
    for one in ways:
        way = next((way for above, way in one if folder.startswith(above)), None)
        if way is not None:
            found.setdefault(way.names[0] if way.names else b"", []).append(way)
    return found


def _may_go(ways: Mapping[bytes, Iterable[_Way]], source: bytes) -> bool:
    return any(
        first in source
        and any(
            all(name in source for name in way.names) and any(word in source for word in way.words)
            for way in some
        )
        for first, some in ways.items()
    )
