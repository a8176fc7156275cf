"""A service as it was written for jaeger_client and OpenTracing; ends by itself."""

import sys
import time

import opentracing
from jaeger_client import Config
from jaeger_client.constants import TRACE_ID_HEADER
from jaeger_client.reporter import InMemoryReporter  # noqa: F401
from opentracing.ext import tags


def initialize():
    config = Config(
        config={
            "sampler": {"type": "const", "param": 1},
            "local_agent": {"reporting_host": "127.0.0.1"},
            "logging": True,
            "tags": {"release": "7"},
        },
        service_name="shop",
    )
    return config.initialize_tracer()


def main():
    tracer = initialize()
    with tracer.start_active_span("order", tags={tags.SPAN_KIND: "server"}) as scope:
        scope.span.set_tag("items", 3).log_kv({"event": "checked", "stock": True})
        headers = {}
        opentracing.tracer.inject(scope.span, opentracing.Format.HTTP_HEADERS, headers)
        assert TRACE_ID_HEADER in headers
        with opentracing.global_tracer().start_active_span("pay") as inner:
            inner.span.set_tag("http.status_code", 503)
    tracer.close()
    time.sleep(float(sys.argv[1]) if len(sys.argv) > 1 else 0)


if __name__ == "__main__":
    main()
