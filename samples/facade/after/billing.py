"""Sums up invoices."""
import tracing
from tracing import start_active_span, traced


@traced
def total(lines):
    if not lines:
        tracing.mark_failed('empty invoice')
        return 0
    return sum(lines)


def invoice(number, lines):
    with start_active_span('invoice', number=number) as span:
        amount = total(lines)
        span.set_attribute('amount', amount)
        return amount
