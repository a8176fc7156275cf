"""Writes every sample's `after/` from its `before/`: `make samples`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from migrator.analysis import analyse
from migrator.settings import DEFAULTS

SAMPLES = Path(__file__).parent
BY_HAND = {"metrics"}  # no rule of the codemod touches metrics


def names() -> list[str]:
    """The samples that the codemod rewrites, by folder."""
    return sorted({path.parent.name for path in SAMPLES.glob("*/before")} - BY_HAND)


def migrated(name: str) -> tuple[dict[str, bytes], int]:
    """What the codemod makes of a sample's `before/`: its files, and how many of them changed."""
    before = SAMPLES / name / "before"
    with tempfile.TemporaryDirectory() as temporary:  # a project of its own
        copy = Path(temporary, name)
        shutil.copytree(before, copy, ignore=shutil.ignore_patterns("__pycache__"))
        analysis = analyse([str(copy)], DEFAULTS)
        if analysis.problems:
            raise SystemExit(f"{name}: {analysis.problems}")
        files = {
            path.name: analysis.after.get(str(path.resolve()), path.read_bytes())
            for path in sorted(copy.glob("*.py"))
        }
    return files, len(analysis.after)


def regenerate() -> Iterator[str]:
    """Write every `after/`; yields a line for each."""
    for name in names():
        after = SAMPLES / name / "after"
        shutil.rmtree(after, ignore_errors=True)
        after.mkdir()
        files, changed = migrated(name)
        for file, content in files.items():
            (after / file).write_bytes(content)
        yield f"{name}: {changed} of {len(files)} files rewritten"


if __name__ == "__main__":
    for line in regenerate():
        print(line)
