"""The command line: `jaeger2otlp`, or `python -m migrator`."""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import sys

import click

from migrator import __version__
from migrator.commands import LazyGroup
from migrator.exits import DONE, ERROR, INTERRUPTED
from migrator.problem import from_error

EPILOG = """\b
Examples:
  jaeger2otlp scan .                 what is there, and what would become of it
  jaeger2otlp migrate .              show the diff, change nothing
  jaeger2otlp migrate --write .      apply it
  jaeger2otlp explain JO101          why a rule does what it does
  jaeger2otlp compare old.py new.py  run both, say whether Jaeger shows the same traces
  jaeger2otlp run -- python app.py   no rewrite: legacy code, its spans leave as OTLP

\b
Exit status: 0 nothing to do, or done; 1 findings or changes; 2 error.
Options of scan and migrate may stand in pyproject.toml, for example:
  [tool.jaeger2otlp]
  propagation = "both"
  exclude = ["vendor"]
"""
# Of writing to standard output; files are told by their paths.
OUTPUT_ERRORS = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


@click.group(
    cls=LazyGroup,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", prog_name="jaeger2otlp")
def cli() -> None:
    """Take Python services from Jaeger clients and OpenTracing to OpenTelemetry and OTLP."""


def main() -> None:
    """Run the command line and exit with its status."""
    if sys.stdout is None:  # closed: `>&-`
        sys.stdout = io.StringIO()
    if isinstance(sys.stdout, io.TextIOWrapper):
        _take_any_name(sys.stdout)
    try:
        status = cli.main(prog_name="jaeger2otlp", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        status = ERROR
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        status = INTERRUPTED
    except SystemExit:  # click's end where the reader has gone: `jaeger2otlp scan . | head`
        status = DONE
    except FileNotFoundError as error:
        if error.filename is not None:
            raise
        click.echo("Error: the working folder is gone: change into one that is there", err=True)
        status = ERROR
    except OSError as error:
        if error.errno not in OUTPUT_ERRORS or error.filename is not None:
            raise
        status = _cut_off(error)
    sys.exit(status)


def _take_any_name(stream: io.TextIOWrapper) -> None:
    """Names of files need not be text: they come out as the bytes they are, or escaped."""
    utf8 = codecs.lookup(stream.encoding).name == "utf-8"
    stream.reconfigure(errors="surrogateescape" if utf8 else "backslashreplace")


def _cut_off(error: OSError) -> int:
    """The status where standard output takes no more; what it holds still is thrown away."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno == errno.EPIPE:
        return DONE
    words = from_error("", error).message
    click.echo(f"Error: the output could not be written: {words}", err=True)
    return ERROR


if __name__ == "__main__":
    main()
