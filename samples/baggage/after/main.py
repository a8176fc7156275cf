"""Hands the customer's tier down a call chain and over a wire as baggage."""
import time

from opentelemetry import baggage, context, propagate, trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def order(tracer, tier):
    with tracer.start_as_current_span('order') as span:
        context.attach(baggage.set_baggage('tier', str(tier)))
        reserve()
        wire = send(tracer)
    return receive(tracer, wire)


def reserve():
    with trace.get_tracer(__name__).start_as_current_span('reserve') as span:
        tier = baggage.get_baggage('tier')
        span.set_attribute('tier', str(tier))


def send(tracer):
    carrier = {}
    with tracer.start_as_current_span('send') as span:
        propagate.inject(carrier)
    return carrier


def receive(tracer, carrier):
    parent = propagate.extract(carrier, context=context.get_current())
    with tracer.start_as_current_span('receive', context=parent) as span:
        context.attach(trace.set_span_in_context(trace.get_current_span(), parent))
        tier = baggage.get_baggage('tier')
        span.set_attribute('tier', str(tier))
        return tier


if __name__ == '__main__':
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: 'orders'}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    global_tracer = trace.get_tracer(__name__)
    print('delivered as', order(global_tracer, 'gold'))
    time.sleep(2)
    trace.get_tracer_provider().shutdown()
