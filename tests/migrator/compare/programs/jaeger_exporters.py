"""OpenTelemetry 1.21 with one of its Jaeger exporters, which the argument names."""

import sys

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

if sys.argv[1] == "grpc":
    from opentelemetry.exporter.jaeger.proto.grpc import JaegerExporter

    exporter = JaegerExporter(collector_endpoint="collector.invalid:14250")
else:
    from opentelemetry.exporter.jaeger.thrift import JaegerExporter

    collector = {"http": {"collector_endpoint": "http://collector.invalid:14268/api/traces"}}
    exporter = JaegerExporter(
        **collector.get(sys.argv[1], {"agent_host_name": "agent.invalid", "agent_port": 6831})
    )
resource = Resource.create({"service.name": "shop", "region": "north"})
trace.set_tracer_provider(TracerProvider(resource=resource))
trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(exporter))
tracer = trace.get_tracer("shop")
with tracer.start_as_current_span("order", kind=trace.SpanKind.SERVER) as order:
    order.set_attribute("n", 1)
    order.set_attribute("x", 2.5)
    order.set_attribute("yes", True)
    with tracer.start_as_current_span("pack", links=[trace.Link(order.get_span_context())]) as pack:
        pack.add_event("packed", {"weight": 3})
        pack.set_status(trace.StatusCode.ERROR, "too heavy")
