"""The command line: `jaeger2otlp`, or `python -m migrator`."""

from __future__ import annotations

import os
import sys

import click

from migrator import __version__
from migrator.commands import LazyGroup
from migrator.exits import DONE, ERROR, INTERRUPTED

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
    try:
        status = cli.main(prog_name="jaeger2otlp", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        status = ERROR
    except (click.Abort, KeyboardInterrupt):
        status = INTERRUPTED
    except BrokenPipeError:  # `jaeger2otlp scan . | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = DONE
    sys.exit(status)


if __name__ == "__main__":
    main()
