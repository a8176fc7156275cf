"""grpcio-opentracing's interceptors on channels and servers."""

from __future__ import annotations

import pytest

from tests.codemods.helpers import check, check_noop

CLIENT = """\
import grpc
from grpc_opentracing import open_tracing_client_interceptor
from grpc_opentracing.grpcext import intercept_channel
"""


@pytest.mark.parametrize("option", ["log_payloads=True", "span_decorator=decorate"])
def test_options_without_a_counterpart_are_reported(option: str) -> None:
    check_noop(
        f"{CLIENT}\n"
        f"channel = intercept_channel(channel, open_tracing_client_interceptor(tracer, {option}))\n"
    )


def test_a_server_made_elsewhere_is_reported() -> None:
    check_noop("""\
        from grpc_opentracing import open_tracing_server_interceptor
        from grpc_opentracing.grpcext import intercept_server


        def wrap(server, tracer):
            server = intercept_server(server, open_tracing_server_interceptor(tracer))
            return server
        """)


@pytest.mark.parametrize("option", ["", ", log_payloads=False"])
def test_a_channel(option: str) -> None:
    check(
        f"{CLIENT}\n"
        "channel = grpc.insecure_channel('a:1')\n"
        f"interceptor = open_tracing_client_interceptor(tracer{option})\n"
        "channel = intercept_channel(channel, interceptor)\n",
        "import grpc\n"
        "from opentelemetry.instrumentation.grpc import client_interceptor\n"
        "from opentelemetry.instrumentation.grpc.grpcext import intercept_channel\n\n"
        "channel = grpc.insecure_channel('a:1')\n"
        "interceptor = client_interceptor()\n"
        "channel = intercept_channel(channel, interceptor)\n",
    )


def test_a_servers_interceptor_kept_in_a_name() -> None:
    check(
        """\
        import grpc
        from grpc_opentracing import open_tracing_server_interceptor
        from grpc_opentracing.grpcext import intercept_server


        def serve(tracer, pool):
            tracing = open_tracing_server_interceptor(tracer)
            server = grpc.server(pool)
            server = intercept_server(server, tracing)
            server.start()
        """,
        """\
        import grpc
        from opentelemetry.instrumentation.grpc import server_interceptor


        def serve(tracer, pool):
            tracing = server_interceptor()
            server = grpc.server(pool, interceptors=[server_interceptor()])
            server.start()
        """,
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "self.server = grpc.server(pool)\n        self.server = intercept_server(self.server, ",
            "self.server = grpc.server(pool, interceptors=[server_interceptor()])",
        ),
        (
            "server = grpc.server(pool)\n        self.server = intercept_server(server, ",
            "server = grpc.server(pool, interceptors=[server_interceptor()])\n"
            "        self.server = server",
        ),
    ],
)
def test_a_server_on_self(before: str, after: str) -> None:
    made = f"class Server:\n    def __init__(self, tracer, pool):\n        {before}"
    check(
        "import grpc\n"
        "from grpc_opentracing import open_tracing_server_interceptor\n"
        "from grpc_opentracing.grpcext import intercept_server\n\n\n"
        f"{made}open_tracing_server_interceptor(tracer))\n",
        "import grpc\n"
        "from opentelemetry.instrumentation.grpc import server_interceptor\n\n\n"
        f"class Server:\n    def __init__(self, tracer, pool):\n        {after}\n",
    )


def test_the_span_that_a_servicers_context_gives_is_the_current_one() -> None:
    check(
        """\
        class Servicer:
            def Get(self, request, context):
                context.get_active_span().set_tag("a", 1)
                return self.store.get_active_span()
        """,
        """\
        from opentelemetry import trace

        class Servicer:
            def Get(self, request, context):
                trace.get_current_span().set_attribute("a", 1)
                return self.store.get_active_span()
        """,
    )
