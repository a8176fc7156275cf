"""A Flask application traced by Flask-OpenTracing, called twice."""
import threading
import time
import urllib.error
import urllib.request

import opentracing
from flask import Flask, jsonify
from flask_opentracing import FlaskTracing
from jaeger_client import Config
from werkzeug.serving import make_server

app = Flask(__name__)

config = Config(
    config={'sampler': {'type': 'const', 'param': 1}, 'logging': False},
    service_name='greeter',
)
tracer = config.initialize_tracer()
tracing = FlaskTracing(tracer, True, app)


@app.route('/greet/<name>')
def greet(name):
    with opentracing.tracer.start_active_span('compose') as scope:
        scope.span.set_tag('name', name)
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
    tracer.close()


if __name__ == '__main__':
    main()
