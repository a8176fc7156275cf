"""The service: an HTTP server that registers, follows its configuration, and answers probes."""

from __future__ import annotations

import threading
from http.server import ThreadingHTTPServer

from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind

from bridge.adapters.consul import (
    ConfigStore,
    ConsulConnection,
    HttpCheck,
    KeyEvent,
    Service,
    ServiceRegistry,
)
from bridge.adapters.health import HealthChecker

tracer = trace.get_tracer("samples.discovery")


class Shop:
    """Greets. `close()` takes it out of Consul before it stops."""

    def __init__(self, connection: ConsulConnection) -> None:
        self.database_up = True
        health = HealthChecker()
        health.add("database", lambda: self.database_up)
        store = ConfigStore(connection)
        self.config = store.cache("config/shop/")
        self.config.wait()
        self.watch = store.watch("config/shop/greeting", self.greeting_changed)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler(health))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        port = self.server.server_port
        check = HttpCheck(f"http://127.0.0.1:{port}/health", interval=1.0)
        service = Service("shop", port, address="127.0.0.1", version="2.1", check=check)
        self.registration = ServiceRegistry(connection).register(service)

    def handler(self, health: HealthChecker):
        shop = self

        class Handler(health.handler("/health")):
            def do_GET(self):
                if self.path == "/health":
                    super().do_GET()
                    return
                headers = {name.lower(): value for name, value in self.headers.items()}
                context = propagate.extract(headers)
                with tracer.start_as_current_span("GET /greet", context, SpanKind.SERVER):
                    body = shop.config.text("config/shop/greeting", "Hello").encode()
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.write(body)

        return Handler

    def greeting_changed(self, event: KeyEvent) -> None:
        print(f"  shop: its greeting is now {len(event.value or b'')} bytes (index {event.index})")

    def close(self) -> None:
        self.registration.close()
        self.watch.close()
        self.config.close()
        self.server.shutdown()
        self.server.server_close()
