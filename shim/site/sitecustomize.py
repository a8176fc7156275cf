"""Found by Python at its start when `jaeger2otlp run` has put this folder on PYTHONPATH."""

import importlib.util
import os
import sys
from importlib.machinery import PathFinder

_HERE = os.path.dirname(os.path.abspath(__file__))


def _start_shim() -> None:
    try:
        from shim import standin

        standin.watch()
    except Exception as error:  # noqa: BLE001 - the program itself must start in any case
        sys.stderr.write(f"jaeger2otlp run: the shim is not active in {sys.executable}: {error}\n")


def _chain() -> None:
    """Runs the sitecustomize that this one hides, if there is one."""
    others = [path for path in sys.path if os.path.abspath(path or ".") != _HERE]
    spec = PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


_start_shim()
_chain()
