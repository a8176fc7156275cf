"""Says hello: one trace with a parent and two children."""
import logging
import sys
import time

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def init_tracer(service):
    logging.getLogger('').handlers = []
    logging.basicConfig(format='%(message)s', level=logging.WARNING)

    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))

    # this call also sets opentracing.tracer
    trace.set_tracer_provider(provider)
    return trace.get_tracer(__name__)


def say_hello(tracer, hello_to):
    with tracer.start_as_current_span('say-hello') as span:
        span.set_attribute('hello-to', str(hello_to))
        hello_str = format_string(tracer, hello_to)
        print_hello(hello_str)


def format_string(tracer, hello_to):
    with tracer.start_as_current_span('format') as span:
        hello_str = 'Hello, %s!' % hello_to
        span.add_event('string-format', {'value': hello_str})
        return hello_str


def print_hello(hello_str):
    # the global tracer is the one made above
    with trace.get_tracer(__name__).start_as_current_span('println') as span:
        print(hello_str)
        span.add_event('println')


if __name__ == '__main__':
    name = sys.argv[1] if len(sys.argv) > 1 else 'Bryan'
    hello_tracer = init_tracer('hello-world')
    say_hello(hello_tracer, name)

    # yield to IOLoop to flush the spans
    time.sleep(2)
    trace.get_tracer_provider().shutdown()
