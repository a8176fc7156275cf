"""Flask-OpenTracing: all requests, a view of its own child, one that fails, one not found."""

from flask import Flask
from flask_opentracing import FlaskTracing
from legacy_tracer import CALLER, legacy_tracer

app = Flask(__name__)
tracer = legacy_tracer("flask-app")
tracing = FlaskTracing(tracer, True, app, ["path"])


@app.route("/hello")
def hello():
    with tracer.start_active_span("work") as scope:
        scope.span.set_tag("user", scope.span.get_baggage_item("user"))
    tracing.get_span().set_tag("seen", True)
    return "hello"


@app.route("/broken")
def broken():
    raise ValueError("broken")


client = app.test_client()
assert client.get("/hello", headers=CALLER).status_code == 200
assert client.get("/broken").status_code == 500
assert client.get("/nowhere").status_code == 404
assert tracer.active_span is None
