"""Two processes on jaeger-client that pass trace and baggage in HTTP headers."""

import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

from jaeger_client import Config
from opentracing import Format

role, port = sys.argv[1], int(sys.argv[2])
tracer = Config({"sampler": {"type": "const", "param": 1}}, service_name=role).initialize_tracer()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        caller = tracer.extract(Format.HTTP_HEADERS, dict(self.headers))
        with tracer.start_active_span("greet", child_of=caller, tags={"span.kind": "server"}):
            self.send_response(200)
            self.end_headers()


if role == "server":
    HTTPServer(("127.0.0.1", port), Handler).serve_forever()
with tracer.start_active_span("hello", tags={"span.kind": "client"}) as scope:
    scope.span.set_baggage_item("user", "ada")
    headers = {}
    tracer.inject(scope.span, Format.HTTP_HEADERS, headers)
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers=headers)
    urllib.request.urlopen(request, timeout=10).close()
