"""opentracing_instrumentation: patched requests, server spans, traced functions, active spans."""

import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import requests
from legacy_tracer import CALLER, legacy_tracer
from opentracing_instrumentation import (
    get_current_span,
    http_server,
    span_in_context,
    traced_function,
)
from opentracing_instrumentation.client_hooks import install_patches
from opentracing_instrumentation.local_span import func_span

tracer = legacy_tracer("instrumented-app")
install_patches(["opentracing_instrumentation.client_hooks.requests.install_patches"])


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        environ = {
            "HTTP_" + name.upper().replace("-", "_"): value for name, value in self.headers.items()
        }
        environ |= {"REQUEST_METHOD": "GET", "PATH_INFO": self.path, "wsgi.url_scheme": "http"}
        environ |= {"SERVER_NAME": "localhost", "SERVER_PORT": "80"}
        environ["HTTP_HOST"] = "localhost"
        request = http_server.WSGIRequestWrapper.from_wsgi_environ(environ)
        with http_server.before_request(request, tracer) as span, span_in_context(span):
            work(1)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format, *args):
        """Quiet."""


@traced_function(name="work")
def work(amount):
    with func_span("inner", tags={"amount": amount}):
        get_current_span().set_tag("current", True)
        get_current_span().set_tag("user", get_current_span().get_baggage_item("user"))


@traced_function
def fails():
    raise ValueError("broken")


server = HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/hello"

requests.get(url, headers=CALLER)
with tracer.start_span("root") as root, span_in_context(root):
    root.set_baggage_item("user", "ann")
    assert requests.get(url).status_code == 200
    try:
        fails()
    except ValueError:
        pass
    else:
        raise AssertionError("the function did not fail")
assert get_current_span() is None
server.shutdown()
