"""Says hello: one trace with a parent and two children."""
import logging
import sys
import time

import opentracing
from jaeger_client import Config


def init_tracer(service):
    logging.getLogger('').handlers = []
    logging.basicConfig(format='%(message)s', level=logging.WARNING)

    config = Config(
        config={
            'sampler': {
                'type': 'const',
                'param': 1,
            },
            'logging': True,
            'reporter_batch_size': 1,
        },
        service_name=service,
    )

    # this call also sets opentracing.tracer
    return config.initialize_tracer()


def say_hello(tracer, hello_to):
    with tracer.start_active_span('say-hello') as scope:
        scope.span.set_tag('hello-to', hello_to)
        hello_str = format_string(tracer, hello_to)
        print_hello(hello_str)


def format_string(tracer, hello_to):
    with tracer.start_active_span('format') as scope:
        hello_str = 'Hello, %s!' % hello_to
        scope.span.log_kv({'event': 'string-format', 'value': hello_str})
        return hello_str


def print_hello(hello_str):
    # the global tracer is the one made above
    with opentracing.tracer.start_active_span('println') as scope:
        print(hello_str)
        scope.span.log_kv({'event': 'println'})


if __name__ == '__main__':
    name = sys.argv[1] if len(sys.argv) > 1 else 'Bryan'
    hello_tracer = init_tracer('hello-world')
    say_hello(hello_tracer, name)

    # yield to IOLoop to flush the spans
    time.sleep(2)
    hello_tracer.close()
