"""The calling service: puts the trace into the request's headers."""
import json
import sys
import time
import urllib.request

from opentracing.ext import tags
from opentracing.propagation import Format
from tracing import init_tracer

tracer = init_tracer('shop')


def http_get(url):
    with tracer.start_active_span('http_get') as scope:
        span = scope.span
        span.set_tag(tags.SPAN_KIND, tags.SPAN_KIND_RPC_CLIENT)
        span.set_tag(tags.HTTP_METHOD, 'GET')
        span.set_tag(tags.HTTP_URL, url)
        headers = {}
        tracer.inject(span, Format.HTTP_HEADERS, headers)
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.urlopen(request) as response:
            span.set_tag(tags.HTTP_STATUS_CODE, response.status)
            return json.load(response)


def price(port, article):
    with tracer.start_active_span('price') as scope:
        scope.span.set_tag('article', article)
        stock = http_get('http://127.0.0.1:%d/stock/%s' % (port, article))
        return 3 * stock['pieces']


if __name__ == '__main__':
    print('price:', price(int(sys.argv[1]), 'lamp'))
    time.sleep(1)
    tracer.close()
