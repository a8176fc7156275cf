"""What `scan` and `migrate` do alike: settings, analysis, output, exit status."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from migrator import report
from migrator.analysis import Analysis, analyse, analyse_text
from migrator.exits import DONE, ERROR, FINDINGS, Failure
from migrator.formats import FORMATS
from migrator.problem import Problem
from migrator.project import root_of
from migrator.settings import Settings, load
from migrator.terminal import emphasise, progress

STDIN = "-"


@dataclass(slots=True)
class Session:
    """One run: the settings that hold, and what was found."""

    settings: Settings
    analysis: Analysis
    broken: list[Problem]  # pyproject.toml files
    given: bytes = b""  # what came on standard input


def begin(paths: Sequence[str], stdin_filename: str | None, chosen: dict[str, Any]) -> Session:
    """Read the settings and look at everything under `paths`.

    Raises:
        Failure: the command line makes no sense.
    """
    if not paths:
        raise Failure("which PATH? `.` is the folder you are in; `-` is standard input")
    given = b""
    if STDIN in paths:
        if len(paths) > 1:
            raise Failure("`-` stands alone: give either it or paths")
        if sys.stdin is None:
            raise Failure("`-` reads standard input, which is closed")
        filename = stdin_filename or "stdin.py"
        settings, broken = _settings([filename], chosen)
        given = sys.stdin.buffer.read()
        analysis = analyse_text(given, filename, settings)
    elif stdin_filename:
        raise Failure("--stdin-filename goes with the path `-`, standard input")
    else:
        settings, broken = _settings(paths, chosen)
        with progress("Analysing") as update:
            analysis = analyse(paths, settings, update)
    analysis.problems[:0] = broken
    return Session(settings, analysis, broken, given)


def _settings(paths: Sequence[str], chosen: dict[str, Any]) -> tuple[Settings, list[Problem]]:
    """The settings of the projects that `paths` are in, and what is wrong with their files."""
    projects = {root_of(path): path for path in reversed(paths)}
    sound: dict[Settings, str] = {}
    broken = []
    for path in projects.values():
        settings, problem = load(path, chosen)
        if problem:
            broken.append(problem)
        else:
            sound[settings] = path
    if len(sound) > 1:
        one, other, *_ = sound.values()
        raise Failure(
            f"{other} and {one} have different settings in the [tool.jaeger2otlp] of their"
            " pyproject.toml; run once for each"
        )
    return next(iter(sound), settings), sorted(broken)


def say(lines: Iterable[str]) -> None:
    """Lines on stdout."""
    for line in lines:
        click.echo(line)


def tell(lines: Iterable[str], style: str | None = None) -> None:
    """Lines on stderr, so that stdout stays the diff or the document."""
    for line in lines:
        click.echo(emphasise(line, style, sys.stderr) if style else line, err=True)


def document(session: Session) -> bool:
    """Print the machine's format, if that was asked for."""
    render = FORMATS.get(session.settings.output_format)
    if render:
        say(render(session.analysis))
    return render is not None


def tell_problems(session: Session) -> None:
    """Errors on stderr, unless a machine's format has said them already."""
    if session.settings.output_format == "text":
        tell((f"error: {line}" for line in report.problems(session.analysis)), "red")


def status(session: Session, *, findings: bool) -> int:
    """The exit status: errors first, then whether something is left."""
    if session.analysis.problems:
        return ERROR
    return FINDINGS if findings else DONE
