"""A Flask shop with prometheus_client metrics and jaeger-client traces, which know nothing of each other."""
import threading
import time
import urllib.request

from flask import Flask
from jaeger_client import Config
from jaeger_client.metrics.prometheus import PrometheusMetricsFactory
from prometheus_client import Counter, Gauge, Histogram, make_wsgi_app
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server

ORDERS = Counter('shop_orders', 'Orders taken', ['kind'])
SECONDS = Histogram('shop_order_seconds', 'Time to take an order', buckets=(0.001, 0.1, 1))
STOCK = Gauge('shop_stock', 'Things left on the shelf')

app = Flask(__name__)
app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {'/metrics': make_wsgi_app()})

tracer = Config(
    config={'sampler': {'type': 'const', 'param': 1}, 'logging': False},
    service_name='shop',
    metrics_factory=PrometheusMetricsFactory(namespace='shop'),
).initialize_tracer()


@app.route('/order/<kind>')
def order(kind):
    with tracer.start_active_span('order'):
        with SECONDS.time():
            ORDERS.labels(kind).inc()
            STOCK.dec()
            return kind


def main():
    STOCK.set(100)
    server = make_server('127.0.0.1', 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = 'http://127.0.0.1:%d' % server.server_port
    for kind in ('tea', 'tea', 'cake'):
        urllib.request.urlopen(base + '/order/' + kind).read()
    print(urllib.request.urlopen(base + '/metrics/').read().decode())
    server.shutdown()
    time.sleep(2)  # the reporter sends once a second
    tracer.close()


if __name__ == '__main__':
    main()
