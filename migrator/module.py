"""A file as the module it is to the project's other files."""

from __future__ import annotations

import os
from typing import NamedTuple

SOURCE_FOLDER = "src"  # may be left out of a module's name
PACKAGE = "__init__"


class Module(NamedTuple):
    """A file as a module. `name` is its path below the root with dots: unique in the project."""

    path: str
    name: str
    is_package: bool

    @property
    def folder(self) -> str:
        """The dotted name of the folder that holds the file."""
        return self.name if self.is_package else self.name.rpartition(".")[0]


def module_of(path: str, root: str) -> Module:
    """The module that `path` below `root` is."""
    if path.startswith(root.rstrip(os.sep) + os.sep):  # relpath is slow over ten thousand files
        relative = path[len(root.rstrip(os.sep)) + 1 :]
    else:
        relative = os.path.relpath(path, root)
    name = relative.rpartition(".")[0].replace(os.sep, ".") or relative
    is_package = name.endswith("." + PACKAGE)
    return Module(path, name.removesuffix("." + PACKAGE), is_package)
