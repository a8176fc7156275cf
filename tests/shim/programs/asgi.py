"""An ASGI application with a tracer made at import."""

from jaeger_client import Config

tracer = Config({"sampler": {"type": "const", "param": 1}}, service_name="asgi").initialize_tracer()


async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    with tracer.start_active_span("request"):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
