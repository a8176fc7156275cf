"""The same two processes on OpenTelemetry. LOSE=baggage or LOSE=headers breaks the crossing."""

import os
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

from opentelemetry import baggage, context, propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind

role, port = sys.argv[1], int(sys.argv[2])
lose = os.environ.get("LOSE", "")
provider = TracerProvider(resource=Resource.create({"service.name": role}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer(__name__)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        headers = {name.lower(): value for name, value in self.headers.items()}
        caller = propagate.extract(headers, context=context.get_current())
        with tracer.start_as_current_span("greet", context=caller, kind=SpanKind.SERVER):
            self.send_response(200)
            self.end_headers()


if role == "server":
    HTTPServer(("127.0.0.1", port), Handler).serve_forever()
with tracer.start_as_current_span("hello", kind=SpanKind.CLIENT):
    if lose != "baggage":
        context.attach(baggage.set_baggage("user", "ada"))
    headers = {}
    if lose != "headers":
        propagate.inject(headers)
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers=headers)
    urllib.request.urlopen(request, timeout=10).close()
