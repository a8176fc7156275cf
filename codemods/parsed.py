"""Files that were parsed: facts are asked for in rounds, and the rewrite asks once more."""

from __future__ import annotations

from codemods.flow import Flow
from codemods.index import Index
from codemods.model import Facts, Unreadable
from codemods.source import Source

KEPT = 1_000_000  # bytes of source; what is kept of it takes 30 times as much


class Parsed:
    """One file's text and tree, and the last walk over it."""

    def __init__(self, data: bytes) -> None:
        self.source = Source(data)
        self._index = Index(self.source.tree)
        self._flow: Flow | None = None

    def flow(self, *, module: str, is_package: bool, known: Facts) -> Flow:
        """The walk in the light of what is known. Raises `Unreadable`."""
        module = module or "__main__"
        last = self._flow
        if last is not None and last.holds_for(module, is_package=is_package, known=known):
            return last
        try:
            self._flow = Flow(
                self.source.tree, self._index, module=module, is_package=is_package, known=known
            )
        except RecursionError as error:
            raise Unreadable("nested too deeply to follow; is it generated?") from error
        return self._flow


_kept: dict[bytes, Parsed] = {}


def parsed(data: bytes) -> Parsed:
    """The file, parsed at most once as long as all files together are small.

    Raises `Unreadable`.
    """
    found = _kept.get(data)
    if found is None:
        found = Parsed(data)
        if sum(map(len, _kept)) + len(data) > KEPT:
            _kept.clear()
        if len(data) <= KEPT:
            _kept[data] = found
    return found
