"""Writes the OpenTelemetry Collector configuration that does at scale what the agent does."""

from __future__ import annotations

import json
from typing import Literal
from urllib.parse import urlsplit

from bridge.jaeger.agent import Options
from bridge.jaeger.udp import RECEIVE_BUFFER_BYTES

Flavour = Literal["contrib", "jaeger"]

HEAD = """\
# Does at scale what `jaeger2otlp agent` does: Jaeger thrift in, OTLP out.
# Written by `jaeger2otlp agent --print-collector-config`; for {program}.
"""
PROGRAMS = {
    "contrib": "otelcol-contrib (check: otelcol-contrib validate --config FILE)",
    "jaeger": "Jaeger v2 (check: jaeger validate --config FILE)",
}
WITHOUT = """\
# Not in it: Zipkin's compact thrift (5775), and the inventory of who still sends. The receiver's
# otelcol_receiver_accepted_spans on 127.0.0.1:{admin}/metrics counts by transport only.
"""


def collector_config(options: Options, flavour: Flavour = "contrib") -> str:
    """The configuration as YAML. The flavours differ in the extension that serves sampling."""
    sampling = _sampling(options, flavour)
    exporter = "otlp" if options.destination.protocol == "grpc" else "otlphttp"
    parts = [
        HEAD.format(program=PROGRAMS[flavour]),
        WITHOUT.format(admin=_port(options, "admin", 14271)),
        _receivers(options),
        _processors(options),
        _exporters(options, exporter),
        sampling,
        _service(options, exporter, EXTENSIONS[flavour] if sampling else ""),
    ]
    return "".join(part for part in parts if part)


CONTRIB_SAMPLING = """\
extensions:
  jaegerremotesampling:
    source:
      file: {path}
      reload_interval: 10s
    http:
      endpoint: {endpoint}
    grpc:
      endpoint: "127.0.0.1:5779"
"""
JAEGER_SAMPLING = """\
extensions:
  jaeger_storage:  # remote_sampling does not start without one
    backends:
      unused: {{memory: {{max_traces: 1}}}}
  remote_sampling:
    file:
      path: {path}
      reload_interval: 10s
      default_sampling_probability: {probability}
    http:
      endpoint: {endpoint}
    grpc:
      endpoint: "127.0.0.1:5779"
"""
EXTENSIONS = {"contrib": "jaegerremotesampling", "jaeger": "jaeger_storage, remote_sampling"}


def _port(options: Options, name: str, default: int) -> int:
    return options.ports.get(name) or default


def _quoted(text: str) -> str:
    """A YAML scalar; `$` is the Collector's own sign for variables."""
    return json.dumps(text.replace("$", "$$"))


def _endpoint(options: Options, name: str, default: int = 0) -> str:
    host = f"[{options.host}]" if ":" in options.host else options.host
    return _quoted(f"{host}:{_port(options, name, default)}")


def _receivers(options: Options) -> str:
    lines = ["receivers:", "  jaeger:", "    protocols:"]
    for name, protocol in (("compact", "thrift_compact"), ("binary", "thrift_binary")):
        if options.ports.get(name) is not None:
            lines += [
                f"      {protocol}:",
                f"        endpoint: {_endpoint(options, name)}",
                f"        socket_buffer_size: {RECEIVE_BUFFER_BYTES}",
            ]
    if options.ports.get("http") is not None:
        lines += ["      thrift_http:", f"        endpoint: {_endpoint(options, 'http')}"]
    return "\n".join(lines) + "\n"


def _processors(options: Options) -> str:
    return (
        "processors:\n"
        "  batch:\n"
        f"    send_batch_size: {options.batch_spans}\n"
        f"    send_batch_max_size: {options.batch_spans}\n"
        f"    timeout: {options.batch_seconds}s\n"
    )


def _exporters(options: Options, name: str) -> str:
    destination = options.destination
    lines = ["exporters:", f"  {name}:"]
    if name == "otlp":
        lines.append(f"    endpoint: {_quoted(destination.address)}")
        if not destination.secure:
            lines += ["    tls:", "      insecure: true"]
    else:
        url = urlsplit(destination.endpoint)
        lines.append(
            f"    traces_endpoint: {_quoted(url._replace(netloc=destination.address).geturl())}"
        )
    if destination.headers:
        lines += ["    headers:  # the values stay out of this file"]
        lines += [
            f"      {_quoted(header)}: ${{env:OTLP_HEADER_{_variable(header)}}}"
            for header in destination.headers
        ]
    lines += [
        "    retry_on_failure:",
        f"      max_elapsed_time: {options.patience:g}s",
    ]
    return "\n".join(lines) + "\n"


def _variable(header: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in header.upper())


def _sampling(options: Options, flavour: Flavour) -> str:
    if options.strategies is None or options.ports.get("sampling") is None:
        return ""
    template = {"contrib": CONTRIB_SAMPLING, "jaeger": JAEGER_SAMPLING}[flavour]
    return template.format(
        path=_quoted(str(options.strategies)),
        probability=options.default_probability,
        endpoint=_endpoint(options, "sampling"),
    )


def _service(options: Options, exporter: str, extensions: str) -> str:
    admin = _port(options, "admin", 14271)
    return (
        "service:\n" + (f"  extensions: [{extensions}]\n" if extensions else "") + "  pipelines:\n"
        "    traces:\n"
        "      receivers: [jaeger]\n"
        "      processors: [batch]\n"
        f"      exporters: [{exporter}]\n"
        "  telemetry:\n"
        "    metrics:\n"
        "      readers:\n"
        "        - pull:\n"
        "            exporter:\n"
        "              prometheus:\n"
        '                host: "127.0.0.1"\n'
        f"                port: {admin}\n"
    )
