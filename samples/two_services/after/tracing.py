"""Set-up shared by both services."""
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def init_tracer(service):
    provider = TracerProvider(
        resource=Resource.create({SERVICE_NAME: service, 'deployment': 'sample'}),
    )
    provider.add_span_processor(
        BatchSpanProcessor(
            OTLPSpanExporter(),
            schedule_delay_millis=100,
        )
    )
    trace.set_tracer_provider(provider)
    return trace.get_tracer(__name__)
