"""The calling service: puts the trace into the request's headers."""
import json
import sys
import time
import urllib.request

from opentelemetry import propagate, trace
from tracing import init_tracer

tracer = init_tracer('shop')


def http_get(url):
    with tracer.start_as_current_span('http_get', kind=trace.SpanKind.CLIENT) as span:
        span.set_attribute('http.method', 'GET')
        span.set_attribute('http.url', str(url))
        headers = {}
        propagate.inject(headers)
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.urlopen(request) as response:
            span.set_attribute('http.status_code', response.status)
            return json.load(response)


def price(port, article):
    with tracer.start_as_current_span('price') as span:
        span.set_attribute('article', str(article))
        stock = http_get('http://127.0.0.1:%d/stock/%s' % (port, article))
        return 3 * stock['pieces']


if __name__ == '__main__':
    print('price:', price(int(sys.argv[1]), 'lamp'))
    time.sleep(1)
    trace.get_tracer_provider().shutdown()
