"""Charges three cards; one is declined, one has no amount. What went wrong is on the spans."""
import sys
import time
import traceback

from jaeger_client import Config
from opentracing import logs
from opentracing.ext import tags


class Declined(Exception):
    pass


def charge(tracer, card, amount):
    with tracer.start_active_span('charge', tags={'card': card[-4:]}) as scope:
        scope.span.set_tag('amount', amount).set_tag('currency', 'EUR')
        if card.startswith('4'):
            raise Declined('card ending in %s declined' % card[-4:])
        scope.span.log_kv({'event': 'charged', 'amount': amount, 'attempts': 1})


def checkout(tracer, card, amount):
    with tracer.start_active_span('checkout') as scope:
        span = scope.span
        span.set_tag(tags.COMPONENT, 'shop')
        span.log_kv({'event': 'validate', 'items': 3})
        if amount is None:
            # nothing raised: the span is marked by hand
            span.set_tag(tags.ERROR, True)
            span.log_kv({'event': 'error', 'message': 'no amount given'})
            return False
        try:
            charge(tracer, card, amount)
        except Declined as exc:
            span.set_tag(tags.ERROR, True)
            span.log_kv({
                logs.EVENT: tags.ERROR,
                logs.ERROR_KIND: type(exc).__name__,
                logs.ERROR_OBJECT: exc,
                logs.STACK: traceback.format_exc(),
            })
            return False
        span.set_operation_name('checkout-paid')
        return True


def main():
    config = Config(
        config={'sampler': {'type': 'const', 'param': 1}},
        service_name='shop',
        validate=True,
    )
    tracer = config.initialize_tracer()

    print(checkout(tracer, '5105-1051', 20.5))
    print(checkout(tracer, '4242-4242', 99))
    print(checkout(tracer, '5105-1051', None))

    time.sleep(2)  # let the reporter flush
    tracer.close()
    return 0


if __name__ == '__main__':
    sys.exit(main())
