"""grpcio-opentracing on both ends of a real channel: unary calls, streams, a failing call."""

from concurrent import futures

import grpc
from grpc_opentracing import (
    ActiveSpanSource,
    open_tracing_client_interceptor,
    open_tracing_server_interceptor,
)
from grpc_opentracing.grpcext import intercept_channel, intercept_server
from legacy_tracer import legacy_tracer

tracer = legacy_tracer("grpc-app")


class Active(ActiveSpanSource):
    def get_active_span(self):
        return tracer.active_span


def say(request, context):
    with tracer.start_span("work", child_of=context.get_active_span()):
        return request


def stream(request, context):
    yield from (request, request)


def fail(request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")


handlers = {
    "Say": grpc.unary_unary_rpc_method_handler(say),
    "Stream": grpc.unary_stream_rpc_method_handler(stream),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
}
server = grpc.server(futures.ThreadPoolExecutor(2))
server = intercept_server(server, open_tracing_server_interceptor(tracer, log_payloads=False))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Echo", handlers),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()

with grpc.insecure_channel(f"127.0.0.1:{port}") as bare:
    channel = intercept_channel(bare, open_tracing_client_interceptor(tracer, Active()))
    with tracer.start_active_span("root") as scope:
        scope.span.set_baggage_item("user", "ann")
        assert channel.unary_unary("/Echo/Say")(b"hi") == b"hi"
        assert list(channel.unary_stream("/Echo/Stream")(b"hi")) == [b"hi", b"hi"]
        try:
            channel.unary_unary("/Echo/Fail")(b"hi")
        except grpc.RpcError as error:
            print(error.code())
        else:
            raise AssertionError("the call did not fail")
server.stop(1).wait()
