"""Adapters without a counterpart of the same form: what to do instead."""

from __future__ import annotations

from codemods.model import Safety
from codemods.registry import define
from codemods.site import Report, Site

rule = define(
    code="JO908",
    title="adapters to replace by hand",
    url="https://opentelemetry.io/ecosystem/registry/?language=python&component=instrumentation",
    safety=Safety.REPORT,
    explanation="""\
Some OpenTracing adapters work so differently from OpenTelemetry's (they find the parent by walking
stack frames, subclass the framework's classes, or trace single objects) that a rewrite would guess.
They are reported with what replaces them.
""",
    minutes=30,
)

RECIPES = {
    "basictracer": "Use a TracerProvider; a recorder is a SpanExporter.",
    "cassandra_opentracing": "CassandraInstrumentor().instrument().",
    "ddtrace.opentracer": "Set a TracerProvider with trace.set_tracer_provider; Datadog's agent "
    "takes OTLP.",
    "dbapi_opentracing": "instrument_connection of opentelemetry-instrumentation-dbapi, or the "
    "driver's own instrumentation.",
    "django_opentracing": "DjangoInstrumentor().instrument() in manage.py, wsgi.py and asgi.py.",
    "elasticsearch_opentracing": "The Elasticsearch client traces itself with OpenTelemetry since "
    "version 8.",
    "fastapi_contrib.tracing": "FastAPIInstrumentor.instrument_app(app).",
    "fastapi_opentracing": "FastAPIInstrumentor.instrument_app(app) and the instrumentations of "
    "the clients.",
    "flask_opentracing": "FlaskInstrumentor().instrument_app(app).",
    "gevent_opentracing": "Nothing: context variables follow greenlets.",
    "grpc_opentracing": "client_interceptor() and server_interceptor() of "
    "opentelemetry-instrumentation-grpc.",
    "logging_opentracing": "LoggingInstrumentor().instrument(set_logging_format=True), or add the "
    "record as an event: trace.get_current_span().add_event(record.getMessage()).",
    "opentracing_decorator": "@tracer.start_as_current_span(name).",
    "opentracing_utils": "@tracer.start_as_current_span(name) for @trace(...), "
    "trace.get_current_span() for the span in the keyword arguments.",
    "pymongo_opentracing": "PymongoInstrumentor().instrument().",
    "pyramid_opentracing": "PyramidInstrumentor().instrument() before the Configurator is made; "
    "the settings that begin with `ot.` go.",
    "redis_opentracing": "RedisInstrumentor().instrument().",
    "requests_opentracing": "RequestsInstrumentor().instrument().",
    "sanic_opentracing": "OpenTelemetryMiddleware of opentelemetry-instrumentation-asgi around "
    "the app; there is no instrumentation of Sanic.",
    "sqlalchemy_opentracing": "SQLAlchemyInstrumentor().instrument(engine=engine); the parent is "
    "the current span.",
    "tornado_opentracing": "TornadoInstrumentor().instrument() before the Application is made; "
    "the settings that begin with `opentracing_` go.",
}


@rule.symbol(*(f"{package}.*" for package in RECIPES))
def adapter(site: Site) -> Report:
    package = next(one for one in RECIPES if site.construct.startswith(f"{one}."))
    return Report("the adapter has no counterpart of the same form", RECIPES[package])


@rule.string("pyramid_opentracing")
def included(site: Site) -> Report:
    """`config.include("pyramid_opentracing")`"""
    return Report("the adapter has no counterpart of the same form", RECIPES["pyramid_opentracing"])


@rule.member("pyramid_tracing", "*")
@rule.member("tornado_tracing", "*")
@rule.member("sanic_tracing", "*")
@rule.member("flask_tracing", "*")
@rule.member("django_tracing", "*")
def member(site: Site) -> Report:
    package = site.construct.partition(".")[0]
    return Report("the adapter's object has no counterpart", RECIPES[package])
