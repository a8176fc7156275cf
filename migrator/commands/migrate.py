"""`jaeger2otlp migrate`: show the rewrite as a diff, or apply it."""

from __future__ import annotations

import time
from typing import Any

import click

from codemods import Fate
from migrator import manifests, report, vcs
from migrator.analysis import Analysis
from migrator.commands import session
from migrator.commands.options import shared
from migrator.commands.session import Session
from migrator.diff import shown, unified
from migrator.exits import INTERRUPTED, Failure
from migrator.problem import Problem, from_error
from migrator.terminal import print_diff
from migrator.writing import Unwritable, replace_content

EPILOG = """\b
Examples:
  jaeger2otlp migrate .                        show the diff
  jaeger2otlp migrate --write .                apply it
  jaeger2otlp migrate --check .                in CI: exit 1 if anything would change
  jaeger2otlp migrate --write --unsafe --mark src
  jaeger2otlp migrate --select JO2 app.py      only the rules whose codes begin so
  cat app.py | jaeger2otlp migrate --stdin-filename app.py - > new.py

\b
Exit status: 0 nothing to do, or done; 1 changes to apply, or sites left for you; 2 error.
A line with the comment `# jaeger2otlp: ignore[CODE]` is left alone.
"""
UNWRITTEN = "what kept the file from being written"
LEFT = (Fate.HELD, Fate.REPORTED)
UNFINISHED = "Finish what is left before you deploy: legacy and rewritten code share no traces."


@click.command(epilog=EPILOG)
@shared
@click.option("--write", is_flag=True, help="Apply the rewrite; files are replaced atomically.")
@click.option("--check", is_flag=True, help="Show no diff; exit 1 if anything would change.")
@click.option("--allow-dirty", is_flag=True, help="Write over changes that are not committed.")
@click.option("--allow-no-vcs", is_flag=True, help="Write outside of git.")
@click.pass_context
def migrate(
    ctx: click.Context,
    /,
    paths: tuple[str, ...],
    stdin_filename: str | None,
    statistics: bool,
    timings: bool,
    write: bool,
    check: bool,
    allow_dirty: bool,
    allow_no_vcs: bool,
    **chosen: Any,
) -> None:
    """Rewrite legacy tracing to OpenTelemetry: shows the diff unless --write is given."""
    if write and check:
        raise Failure("--write and --check exclude each other")
    if write and session.STDIN in paths:
        raise Failure("`-` comes out on standard output; --write takes paths")
    run = session.begin(paths, stdin_filename, chosen)
    started = time.process_time()
    if session.STDIN in paths:
        left = _filter(run, check=check)
    elif write:
        left = _write(run, allow_dirty=allow_dirty, allow_no_vcs=allow_no_vcs)
    else:
        left = _show(run, check=check)
    if run.settings.output_format == "text" and not check:
        _summary(run, paths, statistics=statistics, wrote=write)
    session.tell_problems(run)
    if timings:
        session.tell(report.timings(run.analysis, time.process_time() - started))
    ctx.exit(session.status(run, findings=left))


def _filter(run: Session, *, check: bool) -> bool:
    """From standard input to standard output."""
    analysis = run.analysis
    if check or run.settings.output_format != "text":
        return _show(run, check=check)
    click.echo(next(iter(analysis.after.values()), run.given), nl=False)
    return bool(analysis.count(*LEFT))


def _show(run: Session, *, check: bool) -> bool:
    analysis = run.analysis
    if session.document(run):
        pass
    elif check:
        session.say(f"would change {shown(path)}" for path in analysis.after)
    else:
        for path, after in analysis.after.items():
            print_diff(unified(path, analysis.sources[path], after))
    return bool(analysis.after) or (not check and bool(analysis.count(*LEFT)))


def _write(run: Session, *, allow_dirty: bool, allow_no_vcs: bool) -> bool:
    """Replace the files, importers before what they import."""
    analysis = run.analysis
    if run.broken:
        session.tell_problems(run)
        raise Failure("nothing was written, because pyproject.toml could not be used")
    vcs.refuse_risk(analysis.after, allow_dirty=allow_dirty, allow_no_vcs=allow_no_vcs)
    written = []
    try:
        for path in analysis.order:
            problem = _replace(path, analysis.sources[path], analysis.after[path])
            if problem:
                analysis.problems.append(problem)
                analysis.leave(path, UNWRITTEN)
            else:
                written.append(path)
    except KeyboardInterrupt:
        done = f"{len(written)} of {len(analysis.order)} files are rewritten, the others untouched"
        session.tell([f"interrupted: {done}; run again to go on"], "red")
        raise click.exceptions.Exit(INTERRUPTED) from None
    if not session.document(run):
        session.say(f"rewrote {shown(path)}" for path in written)
    return bool(analysis.count(*LEFT))


def _replace(path: str, old: bytes, new: bytes) -> Problem | None:
    try:
        replace_content(path, old, new)
    except Unwritable as error:
        return Problem(path, f"not written: {error}")
    except PermissionError:
        return Problem(path, "not written: no permission to replace it in its folder")
    except OSError as error:
        return Problem(path, f"not written: {from_error(path, error).message}")
    return None


def _summary(run: Session, paths: tuple[str, ...], *, statistics: bool, wrote: bool) -> None:
    analysis = run.analysis
    filtered = session.STDIN in paths
    if statistics:
        session.tell(report.statistics(analysis, paths))
    else:
        session.tell(report.finding_lines(analysis, LEFT))
        session.tell(report.notes(analysis), "yellow")
    session.tell(report.verdict(analysis, wrote=wrote or filtered, selected=run.settings.selected))
    if wrote and _code_left(analysis):
        session.tell([UNFINISHED])
    elif analysis.after and not wrote and not filtered:
        session.tell(["Apply with --write."])


def _code_left(analysis: Analysis) -> bool:
    """Whether more than requirements is left."""
    return any(
        finding.fate in LEFT and finding.code != manifests.CODE
        for findings in analysis.findings.values()
        for finding in findings
    )
