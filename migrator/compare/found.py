"""One difference as a comparison finds it, before it is known where."""

from __future__ import annotations

from typing import NamedTuple


class Found(NamedTuple):
    name: str  # a key of CATALOGUE
    key: str = ""  # the attribute, event or link it concerns
    before: str | None = None
    after: str | None = None

    def called(self, name: str) -> Found:
        return self._replace(name=name)
