"""Colours and progress, only where a terminal wants them; rich is imported only then."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import IO

import click

from migrator.diff import style_of

NOTHING_TO_SHOW = 20  # files; fewer are done before a progress bar would be read


def wants_colour(stream: IO[str]) -> bool:
    """Whether to colour: a terminal, unless NO_COLOR is set; always with FORCE_COLOR."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


def print_diff(diff: bytes) -> None:
    """A diff on stdout: byte for byte into a pipe, coloured on a terminal."""
    if not wants_colour(sys.stdout):
        click.echo(diff, nl=False)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(force_terminal=True, soft_wrap=True, highlight=False)
    for line in diff.split(b"\n")[:-1]:
        console.print(Text(line.decode("utf-8", "replace"), style=style_of(line)))


def emphasise(text: str, style: str, stream: IO[str]) -> str:
    """`text` in a colour where the stream shows colours."""
    return click.style(text, fg=style, bold=True) if wants_colour(stream) else text


@contextlib.contextmanager
def progress(task: str) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on stderr; None where that is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[count]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        handle = bar.add_task(task, total=None, count="")

        def update(done: int, total: int) -> None:
            if total >= NOTHING_TO_SHOW:
                bar.update(handle, completed=done, total=total, count=f"{done}/{total}")

        yield update
