"""The project's own tracing helpers; nothing else here knows of OpenTracing."""
import contextlib

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

_tracer = None


def get_tracer():
    global _tracer
    if _tracer is None:
        provider = TracerProvider(resource=Resource.create({SERVICE_NAME: 'billing'}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(provider)
        _tracer = trace.get_tracer(__name__)
    return _tracer


@contextlib.contextmanager
def start_active_span(name, **attributes):
    """Only the name is OpenTracing's: callers get a span, not a scope."""
    with get_tracer().start_as_current_span(name) as span:
        for key, value in attributes.items():
            span.set_attribute(key, str(value))
        yield span


def traced(func):
    def wrapper(*args, **kwargs):
        with get_tracer().start_as_current_span(func.__name__):
            return func(*args, **kwargs)

    return wrapper


def mark_failed(message):
    span = trace.get_current_span()
    if span.get_span_context().is_valid:
        span.set_status(trace.StatusCode.ERROR)
        span.add_event('error', {'message': str(message)})


def close():
    trace.get_tracer_provider().shutdown()
