"""Charges three cards; one is declined, one has no amount. What went wrong is on the spans."""
import sys
import time
import traceback

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


class Declined(Exception):
    pass


def charge(tracer, card, amount):
    with tracer.start_as_current_span('charge', attributes={'card': str(card[-4:])}) as span:
        span.set_attribute('amount', amount)
        span.set_attribute('currency', 'EUR')
        if card.startswith('4'):
            raise Declined('card ending in %s declined' % card[-4:])
        span.add_event('charged', {'amount': amount, 'attempts': 1})


def checkout(tracer, card, amount):
    with tracer.start_as_current_span('checkout') as span:
        span.set_attribute('component', 'shop')
        span.add_event('validate', {'items': 3})
        if amount is None:
            # nothing raised: the span is marked by hand
            span.set_status(trace.StatusCode.ERROR)
            span.add_event('error', {'message': 'no amount given'})
            return False
        try:
            charge(tracer, card, amount)
        except Declined as exc:
            span.set_status(trace.StatusCode.ERROR)
            span.record_exception(exc)
            return False
        span.update_name('checkout-paid')
        return True


def main():
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: 'shop'}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    tracer = trace.get_tracer(__name__)

    print(checkout(tracer, '5105-1051', 20.5))
    print(checkout(tracer, '4242-4242', 99))
    print(checkout(tracer, '5105-1051', None))

    time.sleep(2)  # let the reporter flush
    trace.get_tracer_provider().shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
