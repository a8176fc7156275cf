"""The same shop: the same metrics, scraped and pushed as OTLP, with the trace in every exemplar."""

import threading
import urllib.request

from flask import Flask
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import Counter, Gauge, Histogram
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server

from bridge.metrics import MetricsBridge

resource = Resource.create({"service.name": "shop"})
provider = TracerProvider(resource=resource)
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(insecure=True)))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer(__name__)

# One object for both ways out. OTEL_EXPORTER_OTLP_ENDPOINT says where the push goes.
metrics = MetricsBridge(resource=resource).start()

ORDERS = Counter("shop_orders", "Orders taken", ["kind"])
SECONDS = Histogram("shop_order_seconds", "Time to take an order", buckets=(0.001, 0.1, 1))
STOCK = Gauge("shop_stock", "Things left on the shelf")
# New instruments may be OpenTelemetry's: they go both ways too.
BYTES = metrics.meter_provider.get_meter(__name__).create_counter(
    "shop.sent", unit="By", description="Bytes sent"
)

app = Flask(__name__)
app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/metrics": metrics.wsgi_app})


@app.route("/order/<kind>")
def order(kind):
    with tracer.start_as_current_span("order"):
        with SECONDS.time():
            ORDERS.labels(kind).inc()
            STOCK.dec()
            BYTES.add(len(kind))
            return kind


def main():
    STOCK.set(100)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    for kind in ("tea", "tea", "cake"):
        urllib.request.urlopen(f"{base}/order/{kind}").read()
    # OpenMetrics is the format that carries exemplars; Prometheus asks for it by itself.
    scrape = urllib.request.Request(
        f"{base}/metrics/", headers={"Accept": "application/openmetrics-text"}
    )
    print(urllib.request.urlopen(scrape).read().decode())
    server.shutdown()
    metrics.shutdown()
    provider.shutdown()


if __name__ == "__main__":
    main()
