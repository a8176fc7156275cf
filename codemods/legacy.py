"""What the legacy libraries are, as data: their names, and what calls and attributes give.

Sources: opentracing 2.4, jaeger-client 4.8, the OpenTracing contrib packages at their last
release, and the OpenTelemetry Jaeger exporters up to 1.21.
"""

from __future__ import annotations

from functools import lru_cache

# The import packages that are legacy, and the distribution each belongs to (for reports).
ROOTS = {
    "opentracing": "opentracing",
    "jaeger_client": "jaeger-client",
    "opentracing_instrumentation": "opentracing_instrumentation",
    "flask_opentracing": "Flask-OpenTracing",
    "django_opentracing": "django-opentracing",
    "django.conf.settings.OPENTRACING_TRACER": "django-opentracing",
    "django.conf.settings.OPENTRACING_TRACING": "django-opentracing",
    "grpc_opentracing": "grpcio-opentracing",
    "requests_opentracing": "requests-opentracing",
    "redis_opentracing": "redis-opentracing",
    "sqlalchemy_opentracing": "sqlalchemy-opentracing",
    "tornado_opentracing": "tornado-opentracing",
    "pyramid_opentracing": "pyramid-opentracing",
    "pymongo_opentracing": "pymongo-opentracing",
    "elasticsearch_opentracing": "elasticsearch-opentracing",
    "cassandra_opentracing": "cassandra-opentracing",
    "celery_opentracing": "celery-opentracing",
    "dbapi_opentracing": "dbapi-opentracing",
    "gevent_opentracing": "gevent-opentracing",
    "starlette_opentracing": "starlette-opentracing",
    "fastapi_opentracing": "fastapi-opentracing",
    "fastapi_contrib.tracing": "fastapi-contrib",
    "sanic_opentracing": "sanic-opentracing",
    "opentracing_utils": "opentracing-utils",
    "opentracing_decorator": "opentracing-decorator",
    "logging_opentracing": "logging-opentracing",
    "basictracer": "basictracer",
    "ddtrace.opentracer": "ddtrace",
    "opentelemetry.exporter.jaeger": "opentelemetry-exporter-jaeger",
    "opentelemetry.ext.jaeger": "opentelemetry-ext-jaeger",
    "opentelemetry.shim.opentracing_shim": "opentelemetry-opentracing-shim",
    # What OpenTelemetry itself renamed in the time of its Jaeger exporters.
    "opentelemetry.ext": "opentelemetry-ext",
    **dict.fromkeys(
        (
            "opentelemetry.sdk.trace.export.BatchExportSpanProcessor",
            "opentelemetry.sdk.trace.export.SimpleExportSpanProcessor",
            "opentelemetry.sdk.trace.TracerSource",
            "opentelemetry.sdk.trace.tracer",
        ),
        "opentelemetry-sdk",
    ),
    **dict.fromkeys(
        (
            "opentelemetry.trace.set_preferred_tracer_implementation",
            "opentelemetry.trace.set_preferred_tracer_source_implementation",
            "opentelemetry.trace.set_preferred_tracer_provider_implementation",
            "opentelemetry.trace.tracer",
            "opentelemetry.trace.tracer_source",
            "opentelemetry.trace.tracer_provider",
            "opentelemetry.trace.DefaultSpan",
            "opentelemetry.trace.status.StatusCanonicalCode",
            "opentelemetry.propagators.inject",
            "opentelemetry.propagators.extract",
            "opentelemetry.propagators.set_global_httptextformat",
            "opentelemetry.propagators.set_global_textmap",
        ),
        "opentelemetry-api",
    ),
    "opentelemetry.exporter.otlp.trace_exporter": "opentelemetry-exporter-otlp",
    "opentelemetry.exporter.zipkin.ZipkinSpanExporter": "opentelemetry-exporter-zipkin",
    **{
        f"opentelemetry.sdk.environment_variables.OTEL_EXPORTER_JAEGER_{name}": "opentelemetry-sdk"
        for name in (
            "AGENT_HOST", "AGENT_PORT", "ENDPOINT", "USER", "PASSWORD", "TIMEOUT", "CERTIFICATE",
            "GRPC_INSECURE", "AGENT_SPLIT_OVERSIZED_BATCHES",
        )
    },
}  # fmt: skip

# One name for what is reachable under several. Longest prefix first.
ALIASES = {
    "opentelemetry.ext.opentracing_shim": "opentelemetry.shim.opentracing_shim",
    "opentracing.ext.tags": "opentracing.tags",
    "opentracing.ext.scope_manager": "opentracing.scope_managers.ThreadLocalScopeManager",
    "opentracing.scope_managers.asyncio": "opentracing.scope_managers",
    "opentracing.scope_managers.contextvars": "opentracing.scope_managers",
    "opentracing.scope_managers.gevent": "opentracing.scope_managers",
    "opentracing.scope_managers.tornado": "opentracing.scope_managers",
    "opentracing.propagation": "opentracing",
    "opentracing.tracer.Tracer": "opentracing.Tracer",
    "opentracing.tracer.Reference": "opentracing.Reference",
    "opentracing.tracer.ReferenceType": "opentracing.ReferenceType",
    "opentracing.tracer.child_of": "opentracing.child_of",
    "opentracing.tracer.follows_from": "opentracing.follows_from",
    "opentracing.tracer.start_child_span": "opentracing.start_child_span",
    "opentracing.span.Span": "opentracing.Span",
    "opentracing.span.SpanContext": "opentracing.SpanContext",
    "opentracing.scope.Scope": "opentracing.Scope",
    "opentracing.scope_manager.ScopeManager": "opentracing.ScopeManager",
    "opentracing.mocktracer.tracer.MockTracer": "opentracing.mocktracer.MockTracer",
    "opentracing.mocktracer.span.MockSpan": "opentracing.mocktracer.MockSpan",
    "jaeger_client.config.Config": "jaeger_client.Config",
    "jaeger_client.tracer.Tracer": "jaeger_client.Tracer",
    "jaeger_client.span.Span": "jaeger_client.Span",
    "jaeger_client.span_context.SpanContext": "jaeger_client.SpanContext",
    "jaeger_client.sampler.ConstSampler": "jaeger_client.ConstSampler",
    "jaeger_client.sampler.ProbabilisticSampler": "jaeger_client.ProbabilisticSampler",
    "jaeger_client.sampler.RateLimitingSampler": "jaeger_client.RateLimitingSampler",
    "jaeger_client.sampler.RemoteControlledSampler": "jaeger_client.RemoteControlledSampler",
    "flask_opentracing.FlaskTracer": "flask_opentracing.FlaskTracing",
    "flask_opentracing.tracing.FlaskTracing": "flask_opentracing.FlaskTracing",
    "django_opentracing.DjangoTracer": "django_opentracing.DjangoTracing",
    "django_opentracing.tracing.DjangoTracing": "django_opentracing.DjangoTracing",
    "django_opentracing.middleware": "django_opentracing",
    "django.conf.settings.OPENTRACING_TRACER": "django.conf.settings.OPENTRACING_TRACING",
    "pyramid_opentracing.PyramidTracer": "pyramid_opentracing.PyramidTracing",
    "starlette_opentracing.middleware": "starlette_opentracing",
    "fastapi_opentracing.middleware": "fastapi_opentracing",
    "opentracing_instrumentation.request_context": "opentracing_instrumentation",
    "opentracing_instrumentation.traced_function.traced_function": (
        "opentracing_instrumentation.traced_function"
    ),
}

# Instances: what calling a class or function, or reading a module attribute, gives.
# A kind of instance is one word; rules register for (kind, member).
VALUES = {
    "opentracing.tracer": "tracer",
    "django.conf.settings.OPENTRACING_TRACING": "django_tracing",
}
CALLS = {
    "opentracing.global_tracer": "tracer",
    "opentracing.Tracer": "tracer",
    "opentracing.mocktracer.MockTracer": "tracer",
    "opentelemetry.shim.opentracing_shim.create_tracer": "tracer",
    "jaeger_client.Tracer": "tracer",
    "jaeger_client.Config": "config",
    "jaeger_client.Span": "span",
    "jaeger_client.SpanContext": "span_context",
    "opentracing.start_child_span": "span",
    "opentracing.child_of": "reference",
    "opentracing.follows_from": "reference",
    "opentracing.Reference": "reference",
    "opentracing_instrumentation.get_current_span": "span",
    "opentracing_instrumentation.span_in_context": "scope",
    "opentracing_instrumentation.utils.start_child_span": "span",
    "opentracing_instrumentation.http_server.before_request": "span",
    "opentracing_instrumentation.http_client.before_http_request": "span",
    "opentracing_utils.extract_span_from_kwargs": "span",
    "opentracing_utils.get_active_span": "span",
    "opentracing_utils.get_new_span": "span",
    "jaeger_client.ConstSampler": "sampler",
    "jaeger_client.ProbabilisticSampler": "sampler",
    "jaeger_client.RateLimitingSampler": "sampler",
    "jaeger_client.RemoteControlledSampler": "sampler",
    "jaeger_client.reporter.NullReporter": "reporter",
    "jaeger_client.reporter.InMemoryReporter": "reporter",
    "jaeger_client.reporter.LoggingReporter": "reporter",
    "jaeger_client.reporter.CompositeReporter": "reporter",
    "jaeger_client.reporter.Reporter": "reporter",
    "opentracing.scope_managers.ThreadLocalScopeManager": "scope_manager",
    "opentracing.scope_managers.AsyncioScopeManager": "scope_manager",
    "opentracing.scope_managers.ContextVarsScopeManager": "scope_manager",
    "opentracing.scope_managers.GeventScopeManager": "scope_manager",
    "opentracing.scope_managers.TornadoScopeManager": "scope_manager",
    "flask_opentracing.FlaskTracing": "flask_tracing",
    "django_opentracing.DjangoTracing": "django_tracing",
    "pyramid_opentracing.PyramidTracing": "pyramid_tracing",
    "tornado_opentracing.TornadoTracing": "tornado_tracing",
    "sanic_opentracing.SanicTracing": "sanic_tracing",
    "requests_opentracing.SessionTracing": "requests_session",
    "opentelemetry.exporter.jaeger.JaegerSpanExporter": "jaeger_exporter",
    "opentelemetry.ext.jaeger.JaegerSpanExporter": "jaeger_exporter",
    "opentelemetry.exporter.jaeger.thrift.JaegerExporter": "jaeger_exporter",
    "opentelemetry.exporter.jaeger.proto.grpc.JaegerExporter": "jaeger_exporter",
}

# What an annotation says about the thing annotated.
CLASSES = {
    "opentracing.Tracer": "tracer",
    "opentracing.Span": "span",
    "opentracing.Scope": "scope",
    "opentracing.SpanContext": "span_context",
    "opentracing.ScopeManager": "scope_manager",
    "opentracing.Reference": "reference",
    "opentracing.mocktracer.MockTracer": "tracer",
    "opentracing.mocktracer.MockSpan": "span",
    "jaeger_client.Tracer": "tracer",
    "jaeger_client.Span": "span",
    "jaeger_client.SpanContext": "span_context",
    "jaeger_client.Config": "config",
    "flask_opentracing.FlaskTracing": "flask_tracing",
    "django_opentracing.DjangoTracing": "django_tracing",
    "pyramid_opentracing.PyramidTracing": "pyramid_tracing",
    "tornado_opentracing.TornadoTracing": "tornado_tracing",
}

# Attributes and properties of instances: (kind, member) -> kind of the value, "" for plain data.
ATTRIBUTES = {
    ("tracer", "active_span"): "span",
    ("tracer", "scope_manager"): "scope_manager",
    ("tracer", "reporter"): "reporter",
    ("tracer", "sampler"): "sampler",
    ("tracer", "service_name"): "",
    ("scope_manager", "active"): "scope",
    ("scope", "span"): "span",
    ("scope", "manager"): "scope_manager",
    ("span", "context"): "span_context",
    ("span", "tracer"): "tracer",
    ("flask_tracing", "tracer"): "tracer",
    ("flask_tracing", "_tracer"): "tracer",
    ("django_tracing", "tracer"): "tracer",
    ("django_tracing", "_tracer"): "tracer",
    ("pyramid_tracing", "tracer"): "tracer",
    ("pyramid_tracing", "_tracer"): "tracer",
    ("tornado_tracing", "tracer"): "tracer",
    ("tornado_tracing", "_tracer"): "tracer",
    ("config", "sampler"): "sampler",
    ("reference", "referenced_context"): "span_context",
}

# Methods: (kind, member) -> kind of the result.
METHODS = {
    ("tracer", "start_span"): "span",
    ("tracer", "start_active_span"): "scope",
    ("tracer", "extract"): "span_context",
    ("tracer", "finished_spans"): "[]span",
    ("reporter", "get_spans"): "[]span",
    ("scope_manager", "activate"): "scope",
    ("scope", "__enter__"): "scope",
    ("span", "__enter__"): "span",
    ("span", "set_tag"): "span",
    ("span", "set_operation_name"): "span",
    ("span", "log_kv"): "span",
    ("span", "log_event"): "span",
    ("span", "set_baggage_item"): "span",
    ("span", "log"): "span",
    ("config", "initialize_tracer"): "tracer",
    ("config", "new_tracer"): "tracer",
    ("config", "create_tracer"): "tracer",
    ("flask_tracing", "get_span"): "span",
    ("django_tracing", "get_span"): "span",
    ("pyramid_tracing", "get_span"): "span",
    ("tornado_tracing", "get_span"): "span",
    ("grpc_context", "get_active_span"): "span",
    ("flask_tracing", "start_span"): "span",
    ("flask_tracing", "start_active_span"): "scope",
}

# Flask's tracing object is itself a tracer in flask_opentracing 1.x; django's was one too.
TRACER_LIKE = frozenset({"flask_tracing", "django_tracing", "pyramid_tracing", "tornado_tracing"})

# What with-as binds for a kind that is a context manager (the others bind what they are).
ENTERED = {"scope": "scope", "span": "span"}

# Method names that belong to OpenTracing alone: a call of one on a thing of unknown origin
# tells what the thing is.
TELLTALE = {
    "start_active_span": "tracer",
    "log_kv": "span",
    "set_operation_name": "span",
    "set_baggage_item": "span",
    "get_baggage_item": "span",
}
# These also belong to others (Sentry, Datadog); they tell only on a thing named like that, or like
# the last word of it.
TELLTALE_WHEN_NAMED = {
    "finished_spans": "tracer",
    "get_active_span": "grpc_context",
    "set_tag": "span",
    "finish": "span",
    "log_event": "span",
}
# What OpenTelemetry's own spans, tracers and resources had in its beta.
BETA = frozenset({
    "add_lazy_event", "get_context", "get_current_span", "is_recording_events", "labels",
    "use_span",
})  # fmt: skip
# Libraries whose objects services keep a tracer on: `flask.g.tracer`, `celery.current_app.tracer`.
FRAMEWORKS = frozenset(
    {"aiohttp", "bottle", "celery", "django", "falcon", "flask", "quart", "sanic"}
)
# Where fastapi-contrib's middleware keeps what it makes: on the request's scope and state.
KEPT = {"opentracing_span": "span", "opentracing_scope": "scope", "opentracing_tracer": "tracer"}
OTHER_TRACERS = ("sentry_sdk", "ddtrace", "raven", "elasticapm", "newrelic", "aws_xray_sdk")

# Strings that are settings or wire names.
TRACE_ID_HEADER = "uber-trace-id"
LOGGER_NAME = "jaeger_tracing"


@lru_cache(maxsize=65536)
def canonical(name: str) -> str:
    """The one name under which tables and rules know a legacy thing."""
    head = name
    while head:
        if head in ALIASES:
            return ALIASES[head] + name[len(head) :]
        head = head.rpartition(".")[0]
    return name


@lru_cache(maxsize=65536)
def root(name: str) -> str:
    """The legacy package a qualified name lies in, or "".

    What is called like an adapter (`aioredis_opentracing`, `opentracing_prometheus`) is one, also
    where no rule knows it: it takes an OpenTracing tracer.
    """
    head = top = name
    while head:
        if head in ROOTS:
            return head
        top, head = head, head.rpartition(".")[0]
    return top if top.endswith("_opentracing") or top.startswith("opentracing_") else ""


def is_legacy(name: str) -> bool:
    """Whether a qualified name lies in one of the legacy packages."""
    return bool(root(name))
