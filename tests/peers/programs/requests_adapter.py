"""requests_opentracing: a call that succeeds, one that answers 500, one that nobody answers."""

import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import requests
from legacy_tracer import legacy_tracer
from opentracing import Format
from requests_opentracing import SessionTracing

tracer = legacy_tracer("requests-app")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        parent = tracer.extract(Format.HTTP_HEADERS, dict(self.headers))
        with tracer.start_span("serve", child_of=parent) as span:
            span.set_tag("user", span.get_baggage_item("user"))
        self.send_response(500 if self.path == "/broken" else 200)
        self.end_headers()

    def log_message(self, format, *args):
        """Quiet."""


server = HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"

with tracer.start_active_span("root") as scope:
    scope.span.set_baggage_item("user", "ann bo")
    session = SessionTracing(tracer, propagate=True, span_tags={"team": "blue"})
    for path in ("/fine", "/broken"):
        session.get(url + path)
server.shutdown()
server.server_close()
try:
    session.get(url)
except requests.ConnectionError:
    pass
else:
    raise AssertionError("the call did not fail")
