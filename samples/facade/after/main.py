"""Bills two customers through the project's own tracing module."""
import time

import billing
from tracing import close, get_tracer

if __name__ == '__main__':
    with get_tracer().start_as_current_span('month-end'):
        print(billing.invoice('2024-1', [10, 20]))
        print(billing.invoice('2024-2', []))
    time.sleep(2)
    close()
