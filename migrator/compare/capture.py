"""What takes the place of Jaeger and of the OTLP backend while a side runs.

Four doors on loopback, all on free ports: thrift over UDP (where an agent stood), thrift over
HTTP (a collector's /api/traces), OTLP over gRPC, OTLP over HTTP. A start-up hook leads every
Python process of the side to them, whatever addresses stand in the program (hook/sitecustomize).
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

from bridge.otlp.receiver import MAX_BODY_BYTES, OtlpReceiver
from migrator.compare.legacy import Legacy
from migrator.compare.model import Recording, read

HOOK = Path(__file__).parent / "hook"
RECEIVE_BUFFER = 32 * 1024 * 1024  # asked for; the kernel gives what it allows
POLL = 0.05  # seconds between two looks whether to close
Sampling = Literal["every", "program"]


class Capture:
    """Receives until closed; a context manager."""

    def __init__(self, sampling: Sampling = "every") -> None:
        self.legacy = Legacy()
        self.last_arrival = time.monotonic()
        self._sampling = sampling
        self._folder = tempfile.TemporaryDirectory(prefix="jaeger2otlp-compare-")
        self._notes = Path(self._folder.name) / "notes"
        self._otlp = OtlpReceiver()
        self._otlp.fail = self._arrived
        self._udp = _UdpDoor(self)
        self._http = _HttpDoor(self)

    def ports(self) -> dict[str, int]:
        return {
            "udp": self._udp.port,
            "http": self._http.server_address[1],
            "otlp_grpc": self._otlp.grpc_port,
            "otlp_http": self._otlp.http_port,
        }

    def environment(self, own: Mapping[str, str]) -> dict[str, str]:
        """What leads a child process here, added to the variables it is given anyway."""
        settings = {**self.ports(), "notes": str(self._notes), "sampling": self._sampling}
        path = own.get("PYTHONPATH", os.environ.get("PYTHONPATH"))
        return {
            **own,
            "JAEGER2OTLP_CAPTURE": json.dumps(settings),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(HOOK), path])),
        }

    def wait_until_quiet(self, quiet: float = 0.5, at_most: float = 5.0) -> None:
        """Return once nothing came for `quiet` seconds, or after `at_most`."""
        deadline = time.monotonic() + at_most
        while time.monotonic() < deadline and time.monotonic() - self.last_arrival < quiet:
            time.sleep(0.05)

    def notes(self) -> list[dict[str, Any]]:
        """What the hooks had to say, in order."""
        try:
            lines = self._notes.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines]

    def recording(self) -> Recording:
        """Everything that came, as one model."""
        recording = read([*self.legacy.resource_spans(), *self._otlp.resource_spans])
        for span in recording.spans:
            span.said_error = (span.trace_id, span.span_id) in self.legacy.said_error
        for item in self.notes():
            if item["note"] == "baggage":
                ids = bytes.fromhex(item["trace"]), bytes.fromhex(item["span"])
                found = recording.find(*ids)
                if found is not None:
                    found.baggage.setdefault(item["way"], {}).update(item["items"])
        return recording

    def take(self, packet: bytes) -> None:
        self.legacy.packets.append(packet)
        self._arrived()

    def take_http(self, path: str, body: bytes) -> None:
        kept = self.legacy.api_v2 if path == "/api_v2" else self.legacy.bodies
        kept.append(body)
        self._arrived()

    def _arrived(self) -> None:
        self.last_arrival = time.monotonic()

    def close(self) -> None:
        self._udp.close()
        self._http.shutdown()
        self._http.server_close()
        self._otlp.close()
        self._folder.cleanup()

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _UdpDoor:
    """Stores packets as they come; they are decoded when the side has finished."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(POLL)
        self._open = True
        self._thread = threading.Thread(target=self._receive, name="compare-udp", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def _receive(self) -> None:
        while self._open:
            try:
                self._capture.take(self._socket.recv(65536))
            except TimeoutError:
                continue

    def close(self) -> None:
        self._open = False
        self._thread.join()
        self._socket.close()


class _HttpDoor(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, capture: Capture) -> None:
        self.capture = capture
        super().__init__(("127.0.0.1", 0), _HttpHandler)
        serve = threading.Thread(
            target=self.serve_forever, args=(POLL,), name="compare-http", daemon=True
        )
        serve.start()


class _HttpHandler(BaseHTTPRequestHandler):
    server: _HttpDoor

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if not 0 < length <= MAX_BODY_BYTES:
            self.send_error(400)
            return
        self.server.capture.take_http(self.path, self.rfile.read(length))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""
