"""The agent: stands where a jaeger-agent stood and sends on as OTLP what old clients send.

`Agent` puts the parts together: UDP and HTTP listeners, the sampling endpoint, the queue, the
exporter, and an admin port with metrics, health and the inventory of who still sends.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from bridge.jaeger import sampling
from bridge.jaeger.exporter import Exporter
from bridge.jaeger.http import Answer, HttpServer, Refused, Request
from bridge.jaeger.intake import Full, Intake
from bridge.jaeger.inventory import MAX_SENDERS, Inventory
from bridge.jaeger.metrics import AgentCollector
from bridge.jaeger.queue import PieceQueue
from bridge.jaeger.sampling import Strategies
from bridge.jaeger.thrift import Malformed, Protocol, decode_batch
from bridge.jaeger.udp import UdpListener, open_port
from bridge.otlp.sender import OtlpSender
from bridge.otlp.settings import Settings

logger = logging.getLogger(__name__)

# The old jaeger-agent's and jaeger-collector's ports. 14271 was the agent's admin port.
PORTS = {
    "compact": 6831,
    "binary": 6832,
    "zipkin": 5775,
    "http": 14268,
    "sampling": 5778,
    "admin": 14271,
}
UDP = {
    "compact": Protocol.COMPACT,
    "binary": Protocol.BINARY,
    # Served Zipkin spans in compact thrift. What comes there now is refused and counted, but for
    # Jaeger batches, which the old agent took there too.
    "zipkin": Protocol.COMPACT,
}
THRIFT_TYPES = frozenset({"application/x-thrift", "application/vnd.apache.thrift.binary"})


@dataclass(frozen=True)
class Options:
    """What can be chosen. Ports: 0 takes a free one, None does not listen. Times in seconds."""

    destination: Settings
    host: str = "127.0.0.1"
    ports: dict[str, int | None] = field(default_factory=lambda: dict(PORTS))
    strategies: Path | None = None
    default_probability: float = sampling.DEFAULT_PROBABILITY
    batch_spans: int = 2000
    batch_seconds: float = 0.2
    queue_bytes: int = 64 * 1024 * 1024
    patience: float = 300.0
    max_senders: int = MAX_SENDERS


class CannotListen(Exception):
    """A port cannot be had; the text says which and why."""


class Agent:
    """Runs from its creation to `close`.

    Raises `CannotListen`, and `sampling.StrategiesError` for an unusable strategies file.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.strategies = Strategies(options.strategies, options.default_probability)
        self.inventory = Inventory(options.max_senders)
        self.queue = PieceQueue(options.queue_bytes)
        self.intake = Intake(self.queue, self.inventory)
        self.exporter = Exporter(
            self.queue,
            OtlpSender(options.destination),
            batch_spans=options.batch_spans,
            batch_seconds=options.batch_seconds,
            patience=options.patience,
        )
        self._registry = CollectorRegistry()
        self._registry.register(AgentCollector(self))
        self._closing = threading.Lock()
        self._closed = self._drained = False
        try:
            self.udp, self.http = self._listen()
        except CannotListen:
            self.exporter.drain(0)
            raise

    @property
    def ports(self) -> dict[str, int]:
        """Where it listens, by name as in `PORTS`."""
        udp = {port.way: port.number for port in self.udp.ports}
        return udp | {name: server.number for name, server in self.http.items()}

    def close(self, drain_seconds: float = 10.0) -> bool:
        """Stops listening and sends what is left. False when not all of it could be sent."""
        with self._closing:
            if not self._closed:
                self._closed = True
                _close_all(self.http[name] for name in ("http", "sampling") if name in self.http)
                self.udp.close()
                self._drained = self.exporter.drain(drain_seconds)
                # Last, so that who watches can see the drain.
                _close_all(self.http[name] for name in ("admin",) if name in self.http)
        return self._drained

    def _listen(self) -> tuple[UdpListener, dict[str, HttpServer]]:
        servers: dict[str, HttpServer] = {}
        opened = []
        try:
            for name, protocol in UDP.items():
                if (number := self.options.ports.get(name)) is not None:
                    place = f"{self.options.host}:{number}/udp ({name})"
                    opened.append(open_port(name, self.options.host, number, protocol))
            for name in ("http", "sampling", "admin"):
                if (number := self.options.ports.get(name)) is not None:
                    place = f"{self.options.host}:{number} ({name})"
                    servers[name] = self._serve(name, number)
        except OSError as error:
            for port in opened:
                port.socket.close()
            for server in servers.values():
                server.close()
            raise CannotListen(f"{place}: {error.strerror or error}") from None
        return UdpListener(opened, self.intake), servers

    def _serve(self, name: str, number: int) -> HttpServer:
        def refused(reason: str, peer: str, error: Exception | None) -> None:
            self.intake.refuse(name, reason, peer, error=error)

        routes = {
            "http": {("POST", "/api/traces"): self._traces},
            "sampling": {
                ("GET", "/sampling"): lambda request: self._sampling(request, lambda found: found),
                # Clients of thrift 0.9.2 asked here and wanted numbers.
                ("GET", "/"): lambda request: self._sampling(request, sampling.numbered),
            },
            "admin": {
                ("GET", "/metrics"): self._metrics,
                ("GET", "/health"): self._health,
                ("GET", "/"): self._health,  # where the old agent had it
                ("GET", "/inventory"): lambda _: Answer(body=self.inventory.document()),
            },
        }[name]
        return HttpServer(self.options.host, number, routes, refused, f"jaeger-{name}")

    def _traces(self, request: Request) -> Answer:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in THRIFT_TYPES:
            raise Refused(415, "content-type", f"Content-Type: one of {', '.join(THRIFT_TYPES)}")
        try:
            self.intake.take(request.body, decode_batch, "http", request.peer)
        except Malformed as error:
            return Answer(HTTPStatus.BAD_REQUEST, f"not a jaeger.thrift batch: {error}\n".encode())
        except Full:
            retry = {"Retry-After": "5"}
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"the queue is full\n", headers=retry)
        return Answer(HTTPStatus.ACCEPTED)

    def _sampling(
        self, request: Request, shape: Callable[[sampling.Strategy], sampling.Strategy]
    ) -> Answer:
        services = request.query.get("service", [])
        if len(services) != 1:
            raise Refused(400, "sampling", "'service' parameter must be provided once")
        return Answer(body=shape(self.strategies.of(services[0])))

    def _metrics(self, request: Request) -> Answer:
        try:
            encode, content_type = choose_encoder(request.headers.get("accept", ""))
        except (TypeError, ValueError):  # a version that is no number
            encode, content_type = choose_encoder("")
        return Answer(body=encode(self._registry), content_type=content_type)

    def _health(self, _: Request) -> Answer:
        """200 while it takes spans; the export's state is told, not judged (spans may wait)."""
        failing = self.exporter.failing_since
        return Answer(
            body={
                "status": "ok",
                "export": "ok" if failing is None else "failing",
                "export_failing_since": failing,
                "queue_spans": self.queue.spans,
                "destination": self.options.destination.address,
            }
        )


def _close_all(servers: Iterable[HttpServer]) -> None:
    """At once: each takes a moment."""
    closing = [threading.Thread(target=server.close) for server in servers]
    for thread in closing:
        thread.start()
    for thread in closing:
        thread.join()
