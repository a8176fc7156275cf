"""`jaeger2otlp agent`: receive what old Jaeger clients send, and send it on as OTLP."""

from __future__ import annotations

import gc
import ipaddress
import json
import logging
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from bridge.jaeger.agent import PORTS, Agent, CannotListen, Options
from bridge.jaeger.collector_config import collector_config
from bridge.jaeger.sampling import DEFAULT_PROBABILITY, StrategiesError
from bridge.otlp.settings import SettingsError, Signal, read_settings
from migrator.exits import Failure

logger = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
WATCH_SECONDS = 60.0
EPILOG = """\b
Examples:
  jaeger2otlp agent                              from the old ports to localhost:4317
  jaeger2otlp agent --otlp-endpoint http://collector:4318 --otlp-protocol http
  jaeger2otlp agent --strategies strategies.json --host 0.0.0.0
  jaeger2otlp agent --inventory                  who still sends to a running agent
  jaeger2otlp agent --print-collector-config > collector.yaml

\b
Point old clients at it as at a jaeger-agent: JAEGER_AGENT_HOST and JAEGER_AGENT_PORT (UDP), or
JAEGER_ENDPOINT=http://HOST:14268/api/traces.
On the admin port: /metrics (Prometheus), /health, /inventory (JSON).
Where spans can be lost, and how to see it in /metrics: a full socket buffer
(kernel_dropped_packets; raise net.core.rmem_max), a full queue (dropped_spans), an endpoint that
refuses them or stays away (failed_spans).

\b
Exit status: 0 stopped with everything sent; 1 spans were left at the end; 2 it could not start.
"""
F = TypeVar("F", bound=Callable[..., Any])
HELP = {
    "compact": "UDP, thrift compact: Python, Go and Java clients.",
    "binary": "UDP, thrift binary: Node clients.",
    "zipkin": "UDP, Zipkin's compact thrift: refused and counted.",
    "http": "HTTP, POST /api/traces.",
    "sampling": "HTTP, GET /sampling?service=NAME.",
    "admin": "HTTP, /metrics, /health and /inventory.",
}


def _port(_ctx: click.Context, _param: click.Parameter, value: str) -> int | None:
    if value == "off":
        return None
    if value.isascii() and value.isdigit() and len(value) < 6 and int(value) < 65_536:
        return int(value)
    raise click.BadParameter(f"{value!r}: a port, 0 for a free one, or off")


OPTIONS = (
    click.option("--otlp-endpoint", metavar="URL",
                 help="Where to send.  [default: OTEL_EXPORTER_OTLP_ENDPOINT, else localhost]"),
    click.option("--otlp-protocol", type=click.Choice(["grpc", "http"]),
                 help="[default: OTEL_EXPORTER_OTLP_PROTOCOL, else grpc]"),
    click.option("--host", default="127.0.0.1", show_default=True,
                 help="Address to listen on. Nobody is asked for a password: leave loopback with"
                 " care."),
    *(click.option(f"--{name}-port", callback=_port, metavar="PORT", default=str(port),
                   show_default=True, help=HELP[name]) for name, port in PORTS.items()),
    click.option("--strategies", type=click.Path(path_type=Path), metavar="FILE",
                 help="Sampling strategies in Jaeger's JSON format; read again on change."),
    click.option("--default-sampling", type=click.FloatRange(0, 1), metavar="PROBABILITY",
                 default=DEFAULT_PROBABILITY, show_default=True,
                 help="For services that no strategy names."),
    click.option("--batch-spans", type=click.IntRange(1, 100_000), metavar="N", default=2000,
                 show_default=True, help="Send a request when so many spans wait ..."),
    click.option("--batch-seconds", type=click.FloatRange(0.01, 60), metavar="SECONDS",
                 default=0.2, show_default=True, help="... or so much time has passed."),
    click.option("--queue-mib", type=click.IntRange(1, 65_536), metavar="MIB", default=64,
                 show_default=True, help="Memory for spans that wait while the endpoint is away."),
    click.option("--retry-seconds", type=click.FloatRange(0), metavar="SECONDS", default=300.0,
                 show_default=True, help="How long a request is tried before it is dropped."),
    click.option("--drain-seconds", type=click.FloatRange(0), metavar="SECONDS", default=10.0,
                 show_default=True, help="How long SIGTERM and Ctrl-C wait for what is queued."),
    click.option("--inventory", is_flag=True,
                 help="Who still sends to the agent at --host and --admin-port? Then exit."),
    click.option("--print-collector-config", type=click.Choice(["contrib", "jaeger"]),
                 is_flag=False, flag_value="contrib", metavar="[contrib|jaeger]",
                 help="Write the Collector configuration that does the same; then exit."),
)  # fmt: skip


def _options_of(command: F) -> F:
    for decorate in reversed(OPTIONS):
        command = decorate(command)
    return command


@click.command(epilog=EPILOG)
@_options_of
@click.pass_context
def agent(ctx: click.Context, /, **chosen: Any) -> None:
    """Receive Jaeger thrift where a jaeger-agent did, and send OTLP.

    For services that cannot be changed yet: they keep their dead client, in any language, and
    this translates what they send exactly as Jaeger's own receiver would. Run one per host.
    """
    if chosen["inventory"]:
        click.echo(inventory_table(_ask(chosen["host"], chosen["admin_port"])))
        return
    options = _options(chosen)
    if chosen["print_collector_config"]:
        click.echo(collector_config(options, chosen["print_collector_config"]), nl=False)
        return
    ctx.exit(serve(options, chosen["drain_seconds"]))


def _options(chosen: dict[str, Any]) -> Options:
    try:
        destination = read_settings(
            Signal.TRACES, endpoint=chosen["otlp_endpoint"], protocol=chosen["otlp_protocol"]
        )
    except SettingsError as error:
        raise Failure(str(error)) from None
    return Options(
        destination=destination,
        host=chosen["host"],
        ports={name: chosen[f"{name}_port"] for name in PORTS},
        strategies=chosen["strategies"],
        default_probability=chosen["default_sampling"],
        batch_spans=chosen["batch_spans"],
        batch_seconds=chosen["batch_seconds"],
        queue_bytes=chosen["queue_mib"] * 1024 * 1024,
        patience=chosen["retry_seconds"],
    )


def serve(options: Options, drain_seconds: float) -> int:
    """Runs an agent until SIGTERM or SIGINT; the exit status."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    stop = threading.Event()
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    try:
        running = Agent(options)
    except CannotListen as error:
        hint = "a jaeger-agent or Jaeger itself may be there; --NAME-port takes another, or off"
        raise Failure(f"cannot listen on {error} ({hint})") from None
    except StrategiesError as error:
        raise Failure(str(error)) from None
    ports = ", ".join(f"{name} {port}" for name, port in running.ports.items())
    click.echo(f"jaeger2otlp agent on {options.host}: {ports}", err=True)
    click.echo(
        f"sending OTLP over {options.destination.protocol} to {options.destination.address}",
        err=True,
    )
    if not _is_loopback(options.host):
        click.echo("beyond loopback: whoever reaches these ports can send spans", err=True)
    # What is decoded are trees, freed at once: the cycle collector would walk them for nothing.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    _watch(running, stop)
    for number in STOP_SIGNALS:  # a second one ends it at once
        signal.signal(number, signal.SIG_DFL)
    click.echo(f"stopping: sending what is queued, up to {drain_seconds:g} s", err=True)
    drained = running.close(drain_seconds)
    sent, counts = running.exporter.sent, running.intake.counts
    lost = sum(sent.failed.values()) + counts.dropped
    click.echo(f"{sent.exported} spans sent, {lost} lost", err=True)
    return 0 if drained else 1


def _watch(running: Agent, stop: threading.Event) -> None:
    """Waits for `stop`, and tells of packets that the kernel threw away."""
    told = 0
    while not stop.wait(WATCH_SECONDS):
        dropped = sum(running.udp.drops().values()) + running.udp.overflowed
        if dropped > told:
            logger.warning(
                "%d packets lost at the socket: raise net.core.rmem_max (the buffer has %d bytes)",
                dropped - told,
                min(port.buffer_bytes for port in running.udp.ports),
            )
            told = dropped


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _ask(host: str, port: int | None) -> list[dict[str, Any]]:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/inventory"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        hint = "give the agent's --host and --admin-port"
        raise Failure(f"no agent answers at {url}: {reason} ({hint})") from None
    return found


COLUMNS = ("service", "client", "host", "via", "spans", "first seen", "last seen")


def inventory_table(senders: list[dict[str, Any]]) -> str:
    """The list as a table for people."""
    if not senders:
        return "No legacy spans have come since the agent started."
    rows = [
        (
            sender["service"],
            sender["client"],
            sender["host"],
            sender["transport"],
            f"{sender['spans']:,}",
            _moment(sender["first_seen"]),
            _moment(sender["last_seen"]),
        )
        for sender in senders
    ]
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if name == "spans" else cell.ljust(width)
            for name, cell, width in zip(COLUMNS, row, widths, strict=True)
        ).rstrip()
        for row in (COLUMNS, *rows)
    ]
    services = len({sender["service"] for sender in senders})
    return "\n".join([*lines, "", f"Services that still send legacy spans: {services}."])


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
