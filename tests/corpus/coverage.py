"""What the codemod makes of real repositories, as the table of docs/coverage.md.

    python -m tests.corpus.coverage CHECKOUTS COMMITS [--details FILE] [--into docs/coverage.md]

CHECKOUTS is a folder of `owner__name` folders; COMMITS a file of `owner/name commit` lines.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import os
import shutil
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from codemods import Fate, Finding
from migrator.analysis import Analysis, analyse
from migrator.settings import DEFAULTS, Settings
from tests.corpus.sites import Site, sites

SILENT = "silent"
BEGIN, END = "<!-- repositories: begin -->", "<!-- repositories: end -->"
LEFT = (Fate.HELD, Fate.REPORTED)
HEAD = (
    "| repository | commit | files | sites | rewritten | with --unsafe | reported | silent "
    "| unparseable files | not compiling | changed by a second run |"
)


@dataclass(slots=True)
class Row:
    """One repository. Counts are sites unless they say otherwise."""

    name: str
    commit: str
    files: int = 0
    unparseable: int = 0
    broken: int = 0
    again: int = 0
    safe: Counter[str] = field(default_factory=Counter)
    unsafe: Counter[str] = field(default_factory=Counter)

    @property
    def sites(self) -> int:
        return self.safe.total()

    def cells(self) -> tuple[str | int, ...]:
        """The row of the table."""
        return (
            self.name,
            self.commit[:10],
            self.files,
            self.sites,
            _share(self.safe),
            _share(self.unsafe),
            self.safe[Fate.REPORTED] + self.safe[Fate.HELD],
            self.safe[SILENT],
            self.unparseable,
            self.broken,
            self.again,
        )


Places = dict[tuple[str, str], list[str]]  # (fate, name) -> where


def measure(name: str, commit: str, folder: Path, places: Places) -> Row:
    """Rewrite one checkout in memory, safely and unsafely, and count by site."""
    row = Row(name, commit)
    safe = analyse([str(folder)], DEFAULTS)
    unsafe = analyse([str(folder)], replace(DEFAULTS, unsafe=True))
    adapters = {p.parent.name for p in folder.rglob("__init__.py")} - {"opentracing"}
    for path in sorted(p for p in folder.rglob("*.py") if p.is_file()):
        source = path.read_bytes()
        try:
            found = sites(source)
        except (SyntaxError, ValueError):
            row.unparseable += b"opentracing" in source or b"jaeger_client" in source
            continue
        found = [s for s in found if s.name.partition(".")[0] not in adapters]  # its own code
        if not found:
            continue
        row.files += 1
        for site, fate in _fates(found, str(path), source, safe):
            row.safe[fate] += 1
            if fate != Fate.REWRITTEN:
                where = f"{name}/{path.relative_to(folder)}:{site.line}"
                places[fate, site.name].append(where)
        for _, fate in _fates(found, str(path), source, unsafe):
            row.unsafe[fate] += 1
    for analysis in (safe, unsafe):
        row.broken += sum(not _compiles(after) for after in analysis.after.values())
        row.again += _changed_again(folder, analysis, safe is analysis)
    return row


def _fates(
    found: list[Site], path: str, source: bytes, analysis: Analysis
) -> Iterator[tuple[Site, str]]:
    findings = analysis.findings.get(os.path.realpath(path), ())
    after = analysis.after.get(os.path.realpath(path), source)
    touched = _touched(source, after)
    left = any(finding.fate in LEFT for finding in findings)
    for site in found:
        yield site, _fate(site, findings, touched, left=left)


def _fate(site: Site, findings: tuple[Finding, ...], touched: set[int], *, left: bool) -> str:
    """By the nearest finding on the line; else by whether the line went; imports follow uses."""
    on_line = [f for f in findings if f.line <= site.line <= f.end_line]
    if on_line:
        nearest = min(on_line, key=lambda f: (abs(f.line - site.line), abs(f.column - site.column)))
        return nearest.fate.value
    if site.line in touched:
        return Fate.REWRITTEN.value
    return Fate.REPORTED.value if site.is_import and left else SILENT


def _touched(before: bytes, after: bytes) -> set[int]:
    """The numbers of the lines that are no longer there."""
    if before == after:
        return set()
    matcher = difflib.SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False)
    return {
        line + 1
        for tag, start, end, _, _ in matcher.get_opcodes()
        if tag in ("replace", "delete")
        for line in range(start, end)
    }


def _changed_again(folder: Path, analysis: Analysis, safe: bool) -> int:
    """How many files a second run over the result would change."""
    if not analysis.after:
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / folder.name
        shutil.copytree(folder, copy, symlinks=True)
        root = os.path.realpath(folder)
        for path, after in analysis.after.items():
            (copy / os.path.relpath(path, root)).write_bytes(after)
        settings: Settings = DEFAULTS if safe else replace(DEFAULTS, unsafe=True)
        return len(analyse([str(copy)], settings).after)


def _compiles(source: bytes) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    return True


def _share(counts: Counter[str]) -> str:
    total = counts.total()
    done = counts[Fate.REWRITTEN]
    return f"{done} ({100 * done / total:.1f} %)" if total else "0"


def total(rows: list[Row]) -> Row:
    """The last line of the table."""
    everything = Row("all", "")
    for row in rows:
        everything.files += row.files
        everything.unparseable += row.unparseable
        everything.broken += row.broken
        everything.again += row.again
        everything.safe += row.safe
        everything.unsafe += row.unsafe
    return everything


def table(rows: list[Row]) -> Iterator[str]:
    """Markdown."""
    yield HEAD
    yield "|---|---|" + "---:|" * (HEAD.count("|") - 3)
    for row in (*rows, total(rows)):
        yield "| " + " | ".join(str(cell) for cell in row.cells()) + " |"


def details(places: Places) -> Iterator[str]:
    """What is left, most frequent first, with a few places each."""
    for (fate, name), where in sorted(places.items(), key=lambda item: -len(item[1])):
        yield f"{len(where):4} {fate:9} {name}"
        yield from (f"       {place}" for place in where[:4])


def _replaced(page: str, text: str) -> str:
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkouts", type=Path)
    parser.add_argument("commits", type=Path)
    parser.add_argument("--details", type=Path, help="write what is left, ranked, to this file")
    parser.add_argument("--into", type=Path, help="put the table between this page's marks")
    parser.add_argument("--only", default="", help="only repositories with this in their name")
    chosen = parser.parse_args()
    places: Places = defaultdict(list)
    rows = []
    for line in chosen.commits.read_text().splitlines():
        name, commit = line.split()
        folder = chosen.checkouts / name.replace("/", "__")
        if chosen.only in name and folder.is_dir():
            print(name, file=sys.stderr)
            rows.append(measure(name, commit, folder, places))
    rows.sort(key=lambda row: -row.sites)
    text = "\n".join(table(rows))
    print(text)
    if chosen.into:
        chosen.into.write_text(_replaced(chosen.into.read_text(), text))
    if chosen.details:
        chosen.details.write_text("\n".join(details(places)) + "\n")


if __name__ == "__main__":
    main()
