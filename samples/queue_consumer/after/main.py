"""A producer and a consumer thread: the consumer's spans follow from the producer's."""
import queue
import threading
import time

from opentelemetry import context, propagate, trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

jobs = queue.Queue()


def produce(tracer, job):
    with tracer.start_as_current_span('produce', kind=trace.SpanKind.PRODUCER) as span:
        span.set_attribute('message_bus.destination', 'jobs')
        message = {'job': job, 'headers': {}}
        propagate.inject(message['headers'])
        jobs.put(message)


def consume(tracer):
    while True:
        message = jobs.get()
        if message is None:
            break
        producer = propagate.extract(message['headers'], context=context.get_current())
        span = tracer.start_span(
            'consume',
            context=producer, links=[trace.Link(trace.get_current_span(producer).get_span_context())],
            attributes={'job': str(message['job'])}, kind=trace.SpanKind.CONSUMER,
        )
        with trace.use_span(span, end_on_exit=True):
            work(message['job'])


def work(job):
    span = trace.get_current_span()
    if span.get_span_context().is_valid:
        span.add_event('working', {'size': len(job)})
    print('done:', job)


def main():
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: 'jobs'}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    tracer = trace.get_tracer(__name__)
    consumer = threading.Thread(target=consume, args=(tracer,))
    consumer.start()
    for job in ('resize', 'mail'):
        produce(tracer, job)
    jobs.put(None)
    consumer.join()
    time.sleep(2)
    trace.get_tracer_provider().shutdown()


if __name__ == '__main__':
    main()
