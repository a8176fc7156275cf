"""A producer and a consumer thread: the consumer's spans follow from the producer's."""
import queue
import threading
import time

import opentracing
from jaeger_client import Config
from opentracing import Format, follows_from
from opentracing.ext import tags

jobs = queue.Queue()


def produce(tracer, job):
    with tracer.start_active_span('produce') as scope:
        scope.span.set_tag(tags.SPAN_KIND, tags.SPAN_KIND_PRODUCER)
        scope.span.set_tag(tags.MESSAGE_BUS_DESTINATION, 'jobs')
        message = {'job': job, 'headers': {}}
        tracer.inject(scope.span.context, Format.TEXT_MAP, message['headers'])
        jobs.put(message)


def consume(tracer):
    while True:
        message = jobs.get()
        if message is None:
            break
        producer = tracer.extract(Format.TEXT_MAP, message['headers'])
        span = tracer.start_span(
            'consume',
            references=[follows_from(producer)],
            tags={tags.SPAN_KIND: tags.SPAN_KIND_CONSUMER, 'job': message['job']},
        )
        with tracer.scope_manager.activate(span, True):
            work(message['job'])


def work(job):
    span = opentracing.global_tracer().active_span
    if span is not None:
        span.log_kv({'event': 'working', 'size': len(job)})
    print('done:', job)


def main():
    tracer = Config(
        config={'sampler': {'type': 'const', 'param': 1}},
        service_name='jobs',
    ).initialize_tracer()
    consumer = threading.Thread(target=consume, args=(tracer,))
    consumer.start()
    for job in ('resize', 'mail'):
        produce(tracer, job)
    jobs.put(None)
    consumer.join()
    time.sleep(2)
    tracer.close()


if __name__ == '__main__':
    main()
