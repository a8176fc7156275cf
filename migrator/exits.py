"""What the exit status means, as ruff users expect it."""

from __future__ import annotations

import click

DONE = 0  # nothing to do, or everything done
FINDINGS = 1  # something is left to do, or would change
ERROR = 2  # a file could not be read or written, or the command was wrong
INTERRUPTED = 130


class Failure(click.ClickException):
    """An error the user can do something about: shown without a traceback, exit status 2."""

    exit_code = ERROR
