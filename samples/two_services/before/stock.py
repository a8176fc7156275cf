"""The called service: goes on with the trace it finds in the request's headers."""
import json
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

from opentracing.ext import tags
from opentracing.propagation import Format
from tracing import init_tracer

tracer = init_tracer('stock')


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        span_ctx = tracer.extract(Format.HTTP_HEADERS, self.headers)
        span_tags = {tags.SPAN_KIND: tags.SPAN_KIND_RPC_SERVER}
        with tracer.start_active_span('stock', child_of=span_ctx, tags=span_tags) as scope:
            article = self.path.rsplit('/', 1)[-1]
            body = json.dumps({'article': article, 'pieces': len(article)}).encode()
            scope.span.log_kv({'event': 'counted', 'pieces': len(article)})
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *args):
        pass


def stop(signum, frame):
    time.sleep(0.5)
    tracer.close()
    sys.exit(0)


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, stop)
    HTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
