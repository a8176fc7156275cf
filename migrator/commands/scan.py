"""`jaeger2otlp scan`: what legacy use there is, and what would become of it."""

from __future__ import annotations

from typing import Any

import click

from codemods import Fate
from migrator import report
from migrator.commands import session
from migrator.commands.options import shared

EPILOG = """\b
Examples:
  jaeger2otlp scan .
  jaeger2otlp scan --statistics services/*     one line for each service, most work first
  jaeger2otlp scan --output-format json . > legacy.json
  git show HEAD:app.py | jaeger2otlp scan --stdin-filename app.py -

\b
Exit status: 0 no legacy use; 1 there is some; 2 a path could not be read.
"""
LEFT = (Fate.HELD, Fate.REPORTED)
NEXT = "`jaeger2otlp migrate` shows the rewrite as a diff, `jaeger2otlp explain CODE` its reason."


@click.command(epilog=EPILOG)
@shared
@click.pass_context
def scan(
    ctx: click.Context,
    /,
    paths: tuple[str, ...],
    stdin_filename: str | None,
    statistics: bool,
    timings: bool,
    **chosen: Any,
) -> None:
    """List the legacy use in a repository: by library, by construct, by file.

    Says what `migrate` would rewrite, what it would only report and why, and estimates the effort.
    """
    run = session.begin(paths, stdin_filename, chosen)
    if not session.document(run):
        session.say(report.verdict(run.analysis, selected=run.settings.selected))
        if statistics:
            session.say(report.statistics(run.analysis, paths))
        else:
            session.say(report.scan_text(run.analysis, paths))
            session.tell([NEXT] if run.analysis.count(Fate.REWRITTEN, *LEFT) else [])
    session.tell_problems(run)
    if timings:
        session.tell(report.timings(run.analysis))
    found = run.analysis.count(Fate.REWRITTEN, *LEFT)
    ctx.exit(session.status(run, findings=bool(found)))
