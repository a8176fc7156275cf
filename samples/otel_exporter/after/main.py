"""An OpenTelemetry program on the Jaeger exporter that OpenTelemetry removed."""
import os

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

trace.set_tracer_provider(
    TracerProvider(resource=Resource.create({SERVICE_NAME: 'thermometer'}))
)

jaeger_exporter = OTLPSpanExporter(endpoint="http://{}:4317".format(os.environ.get('JAEGER_AGENT_HOST', 'localhost')), insecure=True)
trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(jaeger_exporter))

tracer = trace.get_tracer(__name__)


def measure(room):
    with tracer.start_as_current_span('measure') as span:
        span.set_attribute('room', room)
        span.add_event('sensor read', {'attempt': 1})
        return 21.5


if __name__ == '__main__':
    with tracer.start_as_current_span('report'):
        for room in ('kitchen', 'cellar'):
            print(room, measure(room))
    trace.get_tracer_provider().shutdown()
