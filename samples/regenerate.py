"""Writes every sample's `after/` from its `before/`: `make samples`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from migrator.analysis import Analysis, analyse
from migrator.settings import DEFAULTS

SAMPLES = Path(__file__).parent


def names() -> list[str]:
    """The samples, by folder."""
    return sorted(path.parent.name for path in SAMPLES.glob("*/before"))


def migrated(name: str) -> tuple[dict[str, bytes], Analysis]:
    """What the codemod makes of a sample's `before/`: file names and contents."""
    before = SAMPLES / name / "before"
    analysis = analyse([str(before)], DEFAULTS)
    if analysis.problems:
        raise SystemExit(f"{name}: {analysis.problems}")
    return {
        path.name: analysis.after.get(str(path.resolve()), path.read_bytes())
        for path in sorted(before.glob("*.py"))
    }, analysis


def regenerate() -> Iterator[str]:
    """Write every `after/`; yields a line for each."""
    for name in names():
        after = SAMPLES / name / "after"
        shutil.rmtree(after, ignore_errors=True)
        after.mkdir()
        files, analysis = migrated(name)
        for file, content in files.items():
            (after / file).write_bytes(content)
        yield f"{name}: {len(analysis.after)} of {len(files)} files rewritten"


if __name__ == "__main__":
    for line in regenerate():
        print(line)
