"""`jaeger2otlp run`: a legacy program on OpenTelemetry, unchanged."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import click

from migrator.exits import Failure

EPILOG = """\b
Examples:
  jaeger2otlp run -- python app.py
  jaeger2otlp run --endpoint http://collector:4318 -- gunicorn app:app
  jaeger2otlp run --service-name shop -- celery -A tasks worker

Everything the command starts in this environment is covered: scripts, modules, console scripts,
workers and forks. Not covered: `python -I`, `-E` and `-S`, and other environments, where
jaeger2otlp is not installed. The environment variables of OpenTelemetry and of the Jaeger clients
count; without any, spans go to port 4318 of the host that had the Jaeger agent.
"""


@click.command(epilog=EPILOG, context_settings={"ignore_unknown_options": True})
@click.option("--service-name", metavar="NAME", help="For code that names none itself.")
@click.option("--endpoint", metavar="URL", help="Where OTLP goes (OTEL_EXPORTER_OTLP_ENDPOINT).")
@click.option(
    "--protocol",
    type=click.Choice(["http/protobuf", "grpc"]),
    help="How it goes there (OTEL_EXPORTER_OTLP_PROTOCOL).  [default: http/protobuf]",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(
    service_name: str | None, endpoint: str | None, protocol: str | None, command: tuple[str, ...]
) -> None:
    """Run a program whose jaeger_client and opentracing spans leave as OTLP.

    Neither the program nor its environment is changed; jaeger-client, thrift and tornado need
    not be installed. The program takes this process over: signals and exit status are its own.
    """
    if find_spec("opentracing") is None or find_spec("opentelemetry.sdk") is None:
        raise Failure("`run` needs the shim's packages. Run: pip install 'jaeger2otlp[shim]'")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [_site(), os.environ.get("PYTHONPATH")])),
    }
    given = {
        "OTEL_SERVICE_NAME": service_name,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
    }
    environment.update({variable: value for variable, value in given.items() if value})
    program = shutil.which(command[0])
    if program is None:
        raise Failure(f"there is no command {command[0]!r} on PATH")
    try:
        os.execve(program, list(command), environment)
    except OSError as error:
        raise Failure(f"{program}: {error.strerror}") from error


def _site() -> str:
    spec = find_spec("shim")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "site")
