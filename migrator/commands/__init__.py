"""The subcommands, by name. A command's module is imported only when it is asked for."""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import NamedTuple

import click

from migrator.exits import Failure


class Entry(NamedTuple):
    """Where a command is and what `jaeger2otlp --help` says of it."""

    module: str
    function: str
    summary: str


COMMANDS = {
    "scan": Entry("migrator.commands.scan", "scan", "List the legacy use in repositories."),
    "migrate": Entry("migrator.commands.migrate", "migrate", "Show or apply the rewrite."),
    "rules": Entry("migrator.commands.rules", "rules", "List the rules."),
    "explain": Entry("migrator.commands.rules", "explain", "Explain one rule, with examples."),
    "compare": Entry(
        "migrator.compare.command", "compare", "Run old and new, compare their traces."
    ),
    "run": Entry("migrator.commands.run", "run", "Run a program unchanged on OpenTelemetry."),
    "agent": Entry("migrator.commands.agent", "agent", "Stand in for a jaeger-agent, send OTLP."),
}


class LazyGroup(click.Group):
    """A group whose `--help` imports no command."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command.

        Raises:
            Failure: the command needs a package that is not installed, or is misspelt.
        """
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            near = difflib.get_close_matches(cmd_name, COMMANDS, 1)
            if near:
                raise Failure(f"there is no command {cmd_name!r}; did you mean {near[0]!r}?")
            return None
        try:
            command = getattr(import_module(entry.module), entry.function)
        except ModuleNotFoundError as error:
            raise _missing(cmd_name, error) from error
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


EXTRAS = {"run": "shim", "agent": "agent", "compare": "compare"}


def _missing(command: str, error: ModuleNotFoundError) -> Failure:
    package = error.name or str(error)
    hint = f"pip install 'jaeger2otlp[{EXTRAS.get(command, 'all')}]'"
    return Failure(f"`{command}` needs the package {package!r}. Run: {hint}")
