"""What a run found, for machines: JSON and GitHub annotations."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from codemods import Fate
from migrator import __version__
from migrator.analysis import Analysis
from migrator.diff import relative, unified

LEVELS = {Fate.REPORTED: "warning", Fate.HELD: "warning", Fate.REWRITTEN: "notice"}


def as_json(analysis: Analysis) -> Iterator[str]:
    """One JSON document: files with their findings and diffs, problems, a summary."""
    paths = sorted({*analysis.findings, *analysis.after})
    document = {
        "version": __version__,
        "summary": {
            "searched": analysis.searched,
            "changed": len(analysis.after),
            **{fate.value: analysis.count(fate) for fate in Fate},
        },
        "files": [_file(analysis, path) for path in paths],
        "problems": [{**asdict(p), "path": relative(p.path)} for p in analysis.problems],
    }
    yield json.dumps(document, indent=2)


def as_github(analysis: Analysis) -> Iterator[str]:
    """Workflow commands that GitHub shows beside the lines of a pull request."""
    for path, findings in analysis.findings.items():
        for finding in findings:
            level = LEVELS.get(finding.fate)
            if level is None:
                continue
            place = f"file={_property(relative(path))},line={finding.line}"
            if finding.end_line == finding.line:  # GitHub refuses columns over several lines
                place += f",col={finding.column}"
            text = "\n".join(part for part in (finding.message, finding.advice) if part)
            yield f"::{level} title=jaeger2otlp ({finding.code}),{place}::{_data(text)}"
    for problem in analysis.problems:
        place = f"file={_property(relative(problem.path))}"
        yield f"::error title=jaeger2otlp,{place}::{_data(problem.message)}"


FORMATS: dict[str, Callable[[Analysis], Iterator[str]]] = {"json": as_json, "github": as_github}


def _file(analysis: Analysis, path: str) -> dict[str, Any]:
    after = analysis.after.get(path)
    diff = b"" if after is None else unified(path, analysis.sources[path], after)
    return {
        "path": relative(path),
        "changed": after is not None,
        "diff": diff.decode("utf-8", "replace"),
        "findings": [
            {**asdict(finding), "fate": finding.fate.value}
            for finding in analysis.findings.get(path, ())
        ],
    }


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
