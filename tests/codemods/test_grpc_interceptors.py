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
        "from opentelemetry.instrumentation.grpc import client_interceptor\n\n"
        "channel = grpc.insecure_channel('a:1')\n"
        "interceptor = client_interceptor()\n"
        "channel = grpc.intercept_channel(channel, interceptor)\n",
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
