"""What the tests of the commands share: a small legacy project under git, and running commands."""

from __future__ import annotations

import subprocess
from pathlib import Path

from click.testing import CliRunner, Result

from migrator.__main__ import cli

LEGACY = """\
import opentracing


def work(name):
    with opentracing.tracer.start_active_span('work') as scope:
        scope.span.set_tag('name', str(name))
"""
REPORTED = """\
import opentracing


def check(tracer, request):
    opentracing.tracer.one_thing_nobody_knows(request)
"""


def run(*arguments: str, stdin: bytes | None = None, env: dict[str, str] | None = None) -> Result:
    """Run a command in this process; `stdout`, `stderr` and `exit_code` are in the result."""
    result = CliRunner().invoke(cli, arguments, input=stdin, env=env)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder."""
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def commit(folder: Path) -> None:
    """Make the folder a repository with everything in it committed."""
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "all")
