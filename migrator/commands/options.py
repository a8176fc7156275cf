"""Options that `scan` and `migrate` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from migrator.settings import CHOICES

F = TypeVar("F", bound=Callable[..., Any])


def _codes(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> Any:
    return tuple(code.strip().upper() for value in values for code in value.split(",") if code)


SHARED = (
    click.argument("paths", nargs=-1, type=click.Path(), metavar="PATH..."),
    click.option("--select", multiple=True, metavar="CODES", callback=_codes,
                 help="Only these rules: codes or their beginnings, with commas: JO2,JO301."),
    click.option("--ignore", multiple=True, metavar="CODES", callback=_codes,
                 help="All but these rules."),
    click.option("--exclude", multiple=True, metavar="PATTERN",
                 help="Leave out files and folders: a name or a path below the project, with *."),
    click.option("--unsafe/--no-unsafe", default=None,
                 help="Also the rewrites whose precondition could not be proved."),
    click.option("--protocol", type=click.Choice(CHOICES["protocol"]),
                 help="OTLP over gRPC to port 4317, or over HTTP to 4318.  [default: grpc]"),
    click.option("--endpoint-from-env/--endpoint-in-code", default=None,
                 help="Drop host and port from the code; OTEL_* variables decide."),
    click.option("--propagation", type=click.Choice(CHOICES["propagation"]),
                 help="Headers: W3C, or also uber-trace-id, by jaeger2otlp[shim].  [default: w3c]"),
    click.option("--semconv/--no-semconv", default=None,
                 help="Rename attributes to OpenTelemetry's conventions (dashboards may break)."),
    click.option("--mark/--no-mark", default=None,
                 help="Put a TODO(jaeger2otlp) comment where something is left to do."),
    click.option("--jobs", "-j", type=click.IntRange(min=1), metavar="N",
                 help="Processes that rewrite.  [default: one, more where there is much to do]"),
    click.option("--output-format", type=click.Choice(CHOICES["output_format"]),
                 help="[default: text]"),
    click.option("--statistics", is_flag=True,
                 help="Count by rule, and by folder if several are given; list no sites."),
    click.option("--timings", is_flag=True, help="CPU seconds of each phase and rule, on stderr."),
    click.option("--stdin-filename", metavar="FILE",
                 help="With `-`: the file that standard input stands for."),
)  # fmt: skip


def shared(command: F) -> F:
    """Add the shared argument and options to a command."""
    for decorate in reversed(SHARED):
        command = decorate(command)
    return command
