"""A Flask application traced by Flask-OpenTracing, called twice."""
import threading
import time
import urllib.error
import urllib.request

from flask import Flask, jsonify
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from werkzeug.serving import make_server

app = Flask(__name__)

config = TracerProvider(resource=Resource.create({SERVICE_NAME: 'greeter'}))
config.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(config)
tracer = trace.get_tracer(__name__)
FlaskInstrumentor().instrument_app(app)


@app.route('/greet/<name>')
def greet(name):
    with trace.get_tracer(__name__).start_as_current_span('compose') as span:
        span.set_attribute('name', str(name))
        return jsonify(greeting='Hello, %s!' % name)


@app.route('/fail')
def fail():
    return 'no', 503


def main():
    server = make_server('127.0.0.1', 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = 'http://127.0.0.1:%d' % server.server_port
    with urllib.request.urlopen(base + '/greet/Ada') as response:
        print(response.read().decode().strip())
    try:
        urllib.request.urlopen(base + '/fail')
    except urllib.error.HTTPError as error:
        print(error.code)
    server.shutdown()
    time.sleep(2)
    trace.get_tracer_provider().shutdown()


if __name__ == '__main__':
    main()
