"""`jaeger2otlp compare`: the command line."""

from __future__ import annotations

import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import click

from codemods.names import SEMCONV as SEMCONV_NAMES
from migrator.compare import plan as plans
from migrator.compare.catalogue import CATALOGUE
from migrator.compare.comparison import Comparison, compare_recordings
from migrator.compare.programs import CouldNotRun
from migrator.compare.rules import SEMCONV, BadRule, Rule, for_unsteady, parse
from migrator.compare.sides import SideRun, run_plan
from migrator.exits import DONE, FINDINGS, Failure

EPILOG = """\b
Examples:
  jaeger2otlp compare before/app.py after/app.py -- --name Bryan
  jaeger2otlp compare "-m shop.old" "-m shop.new" --html report.html
  jaeger2otlp compare app.py "jaeger2otlp run -- python app.py"
  jaeger2otlp compare --before-python old/bin/python before.py after.py
  jaeger2otlp compare compare.toml
  jaeger2otlp compare old-tree new-tree --plan compare.toml

\b
The same program in two folders, such as `git worktree add ../old HEAD~1` and `.`, needs a file
with one line: run = "-m shop.app"

\b
Several processes (services and the client that drives them) need a file:
  run = "client.py Bryan"            # the driver; the side ends when it ends
  [before]
  folder = "before"                  # relative to the file
  python = "old-venv/bin/python"     # optional, as is env = { KEY = "value" }
  [after]
  folder = "after"
  [[service]]
  name = "formatter"
  run = "formatter.py --port {port:formatter}"      # a free port, the same everywhere
  ready = "http://127.0.0.1:{port:formatter}/"      # or "tcp HOST:PORT", or "says TEXT"
  [[allow]]
  difference = "lost-attribute"      # as --names lists them
  attribute = "peer.*"               # patterns, also for service and span; optional
  reason = "the instrumentation does not write it"

\b
How a side is captured: every Python process it starts runs a start-up hook (a sitecustomize
on PYTHONPATH; your own runs too) that leads Jaeger's UDP packets, Jaeger's HTTP collector and
OTLP exporters to receivers on loopback, whatever address stands in the program. Queues are made
large, delays short, and spans waiting at exit are flushed. Python's -E, -I and -S switch it off;
other languages are told the ports by {udp}, {http}, {otlp_grpc} and {otlp_http} in `env`.

\b
Exit status: 0 equal, or only allowed differences; 1 different; 2 could not run.
"""


class _Command(click.Command):
    """Takes "-m MODULE" as an argument: to click it would be options, one for each letter."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ours = args.index("--") if "--" in args else len(args)
        hidden = [f" {arg}" if arg.startswith("-m ") else arg for arg in args[:ours]]
        rest = super().parse_args(ctx, hidden + args[ours:])
        for name in ("before", "after"):
            ctx.params[name] = (ctx.params.get(name) or "").strip() or None
        return rest


def _list_names(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted:
        for name, sort in CATALOGUE.items():
            allowed = " (allowed by default)" if sort.allowed else ""
            click.echo(f"{name:26}{sort.meaning}{allowed}")
        ctx.exit()


@click.command(cls=_Command, epilog=EPILOG)
@click.argument("before")
@click.argument("after", required=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARGS]...")
@click.option(
    "--plan", type=click.Path(path_type=Path), help="Processes; BEFORE and AFTER are folders."
)
@click.option("--before-python", metavar="PATH", help="The interpreter of the old side.")
@click.option("--after-python", metavar="PATH", help="The interpreter of the new side.")
@click.option(
    "--allow", multiple=True, metavar="NAME[:KEY]", help="Allow a difference (repeatable)."
)
@click.option("--rules", type=click.Path(path_type=Path), help="A TOML file with [[allow]] tables.")
@click.option("--semconv", is_flag=True, help="Allow attributes renamed to today's conventions.")
@click.option("--strict", is_flag=True, help="Allow nothing by default.")
@click.option(
    "--twice", is_flag=True, help="Run BEFORE twice; allow what its own runs do not share."
)
@click.option("--names", is_flag=True, is_eager=True, expose_value=False, callback=_list_names,
              help="List the differences by name.")  # fmt: skip
@click.option("--sampling", type=click.Choice(["every", "program"]), default="every",
              show_default=True, help="All traces, or as the program samples.")  # fmt: skip
@click.option("--timeout", type=click.FloatRange(min=0.1), metavar="SECONDS",
              help="For one side.  [default: 60]")  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(["tree", "json"]), default="tree", show_default=True
)
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Also write a page.")
@click.option("--show-output", is_flag=True, help="Show what the programs printed.")
def compare(before: str, after: str | None, form: str, html: Path | None, **options: Any) -> None:
    """Run a program BEFORE and AFTER its migration and say whether Jaeger shows the same.

    Each side is a script, "-m MODULE", or a command line in quotes; one TOML file names both
    sides and their processes. Ids and times never count. Differences have names, and may be
    allowed by name.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        plan, rules = _plan(before, after, options)
        if options["twice"]:
            rules = (*rules, *_unsteady(plan, options))
        old, new = run_plan(plan, options["sampling"], options["timeout"], _progress)
    except (CouldNotRun, BadRule) as error:
        raise Failure(str(error)) from error
    if not old.recording.spans and not new.recording.spans:
        raise Failure(_nothing(old, new))
    outcome = compare_recordings(
        old.recording, new.recording, rules, SEMCONV_NAMES, options["strict"]
    )
    _show(outcome, old, new, form, options["show_output"])
    if html:
        from migrator.compare.page import write_page

        try:
            write_page(html, outcome, old, new)
        except OSError as error:
            raise Failure(f"the page cannot be written: {error}") from error
    raise click.exceptions.Exit(DONE if outcome.equal else FINDINGS)


def _plan(
    before: str, after: str | None, options: dict[str, Any]
) -> tuple[plans.Plan, tuple[Rule, ...]]:
    pythons = options["before_python"], options["after_python"]
    arguments = options["arguments"]
    if options["plan"]:
        if not after or not Path(before).is_dir() or not Path(after).is_dir():
            raise CouldNotRun("with --plan, BEFORE and AFTER are folders")
        plan = plans.from_file(options["plan"], pythons, arguments, (before, after))
    elif before.endswith(".toml"):
        plan = plans.from_file(Path(before), pythons, [*([after] if after else []), *arguments])
    elif after is None:
        raise click.MissingParameter(param_hint="'AFTER'", param_type="argument")
    else:
        plan = plans.from_arguments(before, after, pythons, arguments)
    rules = [parse(option) for option in options["allow"]]
    rules += plans.read_rules(options["rules"]) if options["rules"] else ()
    rules += [SEMCONV] if options["semconv"] else []
    return plan, (*rules, *plan.rules)


def _unsteady(plan: plans.Plan, options: dict[str, Any]) -> tuple[Rule, ...]:
    """Rules for what differs between two runs of the old side itself."""
    itself = replace(plan, after=plan.before)
    first, second = run_plan(itself, options["sampling"], options["timeout"], _progress)
    outcome = compare_recordings(first.recording, second.recording)
    return tuple(dict.fromkeys(for_unsteady(d) for d in outcome.differences if not d.allowed_by))


def _show(outcome: Comparison, old: SideRun, new: SideRun, form: str, output: bool) -> None:
    if form == "json":
        from migrator.compare.jsonreport import as_json

        click.echo(as_json(outcome, old, new))
        return
    from migrator.compare.tree import print_tree

    print_tree(outcome, old, new)
    if output:
        for side in (old, new):
            click.echo(f"--- printed by {side.label}\n{side.output}")


def _nothing(old: SideRun, new: SideRun) -> str:
    sides = (old, new)
    remarks = "".join(f"\nnote: {side.label}: {text}" for side in sides for text in side.remarks)
    printed = "".join(f"\n--- printed by {side.label}\n{side.output}" for side in sides)
    return (
        "neither side reported a span, so nothing is proven. Does the program start its tracer, "
        f"and is its sampler on?{remarks}{printed}"
    )


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"{text} ...", err=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
