"""`import jaeger_client` finds `shim.jaeger_client`, whether the original is installed or not."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import logging
import sys
from collections.abc import Sequence
from types import ModuleType

from shim import startup

logger = logging.getLogger("jaeger_tracing")

_NAME = "jaeger_client"
_OURS = f"shim.{_NAME}"


def install() -> None:
    """From now on; what was imported from the original before keeps it (and is told so)."""
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    imported = sys.modules.get(_NAME)
    if imported is not None and imported.__name__ == _NAME:
        logger.warning(
            "jaeger_client was imported before the shim: modules that hold its names keep them. "
            "Import shim.auto first."
        )
    for name in [name for name in sys.modules if name == _NAME or name.startswith(f"{_NAME}.")]:
        del sys.modules[name]
    sys.meta_path.insert(0, _Finder())


def watch() -> None:
    """As `install`, and `import opentracing` then starts the shim (`startup.auto`).

    For `jaeger2otlp run`: costs next to nothing in a process that imports neither.
    """
    install()
    if "opentracing" in sys.modules:
        startup.auto()
    else:
        sys.meta_path.insert(0, _OpenTracingFinder())


def uninstall() -> None:
    """For tests: later imports find the original again."""
    sys.meta_path[:] = [
        finder for finder in sys.meta_path if not isinstance(finder, (_Finder, _OpenTracingFinder))
    ]
    for name in [name for name in sys.modules if name == _NAME or name.startswith(f"{_NAME}.")]:
        del sys.modules[name]


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != _NAME and not fullname.startswith(f"{_NAME}."):
            return None
        ours = _OURS + fullname[len(_NAME) :]
        if importlib.util.find_spec(ours) is None:
            return None
        return importlib.machinery.ModuleSpec(fullname, _Loader(ours), is_package=True)


class _OpenTracingFinder(importlib.abc.MetaPathFinder):
    """Finds opentracing where it is, once, and starts the shim after its import."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "opentracing":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _ThenStart(spec.loader)
        return spec


class _ThenStart(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self._loader
        if _OURS in sys.modules:  # it is just being imported: that program has its own setup
            return
        try:
            startup.auto()
        except Exception:
            logger.exception("The shim did not start; spans are not recorded")


class _Loader(importlib.abc.Loader):
    """Gives out our module under the other name, and leaves it as it is."""

    def __init__(self, ours: str) -> None:
        self._ours = ours

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._ours)
        self._spec, self._loader = module.__spec__, module.__loader__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # the import system has just written the other name's spec on it: a reload would go wrong
        module.__spec__ = self._spec
        module.__loader__ = self._loader
