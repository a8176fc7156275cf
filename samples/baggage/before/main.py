"""Hands the customer's tier down a call chain and over a wire as baggage."""
import time

import opentracing
from jaeger_client import Config


def order(tracer, tier):
    with tracer.start_active_span('order') as scope:
        scope.span.set_baggage_item('tier', tier)
        reserve()
        wire = send(tracer)
    return receive(tracer, wire)


def reserve():
    with opentracing.global_tracer().start_active_span('reserve') as scope:
        tier = scope.span.get_baggage_item('tier')
        scope.span.set_tag('tier', tier)


def send(tracer):
    carrier = {}
    with tracer.start_active_span('send') as scope:
        tracer.inject(scope.span.context, opentracing.Format.TEXT_MAP, carrier)
    return carrier


def receive(tracer, carrier):
    parent = tracer.extract(opentracing.Format.TEXT_MAP, carrier)
    with tracer.start_active_span('receive', child_of=parent) as scope:
        tier = scope.span.get_baggage_item('tier')
        scope.span.set_tag('tier', tier)
        return tier


if __name__ == '__main__':
    config = Config(config={'sampler': {'type': 'const', 'param': 1}}, service_name='orders')
    global_tracer = config.initialize_tracer()
    print('delivered as', order(global_tracer, 'gold'))
    time.sleep(2)
    global_tracer.close()
