"""The called service: goes on with the trace it finds in the request's headers."""
import json
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

from opentelemetry import context, propagate, trace
from tracing import init_tracer

tracer = init_tracer('stock')


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        span_ctx = propagate.extract(self.headers, context=context.get_current())
        with tracer.start_as_current_span('stock', context=span_ctx, kind=trace.SpanKind.SERVER) as span:
            article = self.path.rsplit('/', 1)[-1]
            body = json.dumps({'article': article, 'pieces': len(article)}).encode()
            span.add_event('counted', {'pieces': len(article)})
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *args):
        pass


def stop(signum, frame):
    time.sleep(0.5)
    trace.get_tracer_provider().shutdown()
    sys.exit(0)


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, stop)
    HTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
