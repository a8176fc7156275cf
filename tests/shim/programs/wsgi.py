"""A WSGI application with a tracer made at import, as many are."""

from jaeger_client import Config

tracer = Config({"sampler": {"type": "const", "param": 1}}, service_name="wsgi").initialize_tracer()


def application(environ, start_response):
    with tracer.start_active_span("request"):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]
