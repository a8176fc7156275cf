"""Where OTLP goes and how: read from arguments and the `OTEL_EXPORTER_OTLP_*` environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal
from urllib.parse import urlsplit

from opentelemetry.util.re import parse_env_headers

Protocol = Literal["grpc", "http"]
PREFIX = "OTEL_EXPORTER_OTLP_"
DEFAULT_ENDPOINTS: dict[Protocol, str] = {
    "grpc": "http://localhost:4317",
    "http": "http://localhost:4318",
}
DEFAULT_TIMEOUT_SECONDS = 10.0


class Signal(Enum):
    """What is sent. The value is the environment's infix; the rest is what OTLP calls it."""

    TRACES = "TRACES"
    METRICS = "METRICS"

    @property
    def path(self) -> str:
        """The path of the HTTP endpoint (OTLP specification, "OTLP/HTTP Request")."""
        return f"v1/{self.value.lower()}"

    @property
    def grpc_method(self) -> str:
        name, service = {
            Signal.TRACES: ("trace", "TraceService"),
            Signal.METRICS: ("metrics", "MetricsService"),
        }[self]
        return f"/opentelemetry.proto.collector.{name}.v1.{service}/Export"


class SettingsError(ValueError):
    """A setting cannot be used; the text names it and says what it takes."""


@dataclass(frozen=True)
class Settings:
    """One destination. Timeouts are seconds, as OpenTelemetry Python reads them.

    `endpoint` is a URL. For HTTP it is the full one, the signal's path included.
    """

    signal: Signal
    protocol: Protocol
    endpoint: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = DEFAULT_TIMEOUT_SECONDS
    gzip: bool = False
    secure: bool = False
    certificate: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None

    @property
    def address(self) -> str:
        """host:port, what a log line may show (the URL could carry a password)."""
        parts = urlsplit(self.endpoint)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.hostname}{port}"


def read_settings(
    signal: Signal,
    *,
    endpoint: str | None = None,
    protocol: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """The settings for `signal`: arguments first, then the signal's variables, then the common.

    An `endpoint` argument is a base URL like the common variable's: for HTTP the signal's path
    is added. Only `OTEL_EXPORTER_OTLP_<SIGNAL>_ENDPOINT` is taken as it is (OpenTelemetry
    specification, "OpenTelemetry Protocol Exporter").

    Raises `SettingsError`.
    """

    def setting(name: str) -> str | None:
        found = environ.get(f"{PREFIX}{signal.value}_{name}") or environ.get(f"{PREFIX}{name}")
        return found.strip() if found else None

    wire = _protocol(protocol or setting("PROTOCOL") or "grpc")
    own = (environ.get(f"{PREFIX}{signal.value}_ENDPOINT") or "").strip()
    base = endpoint or own or environ.get(f"{PREFIX}ENDPOINT") or DEFAULT_ENDPOINTS[wire]
    url, secure = _url(base.strip(), wire, insecure=setting("INSECURE"))
    if wire == "http" and not (own and not endpoint):
        url = f"{url.rstrip('/')}/{signal.path}"
    return Settings(
        signal=signal,
        protocol=wire,
        endpoint=url,
        headers={**parse_env_headers(setting("HEADERS") or "", liberal=True), **(headers or {})},
        timeout=timeout if timeout is not None else _seconds(setting("TIMEOUT")),
        gzip=(setting("COMPRESSION") or "none").lower() == "gzip",
        secure=secure,
        certificate=setting("CERTIFICATE"),
        client_certificate=setting("CLIENT_CERTIFICATE"),
        client_key=setting("CLIENT_KEY"),
    )


def _protocol(name: str) -> Protocol:
    if name == "grpc":
        return "grpc"
    if name in {"http", "http/protobuf"}:
        return "http"
    raise SettingsError(f"OTLP protocol {name!r}: use grpc or http/protobuf")


def _seconds(text: str | None) -> float:
    if text is None:
        return DEFAULT_TIMEOUT_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        raise SettingsError(f"{PREFIX}TIMEOUT {text!r}: a number of seconds is wanted") from None
    return seconds if seconds > 0 else DEFAULT_TIMEOUT_SECONDS


def _url(text: str, wire: Protocol, *, insecure: str | None) -> tuple[str, bool]:
    """The endpoint as a URL, and whether it is TLS. gRPC takes host:port without a scheme too."""
    if "://" not in text:
        plain = wire == "http" or (insecure or "").lower() == "true"
        text = f"{'http' if plain else 'https'}://{text}"
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise SettingsError("OTLP endpoint: the port is not a number up to 65535") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError("OTLP endpoint: a URL like http://collector:4317 is wanted")
    return text, parts.scheme == "https"
