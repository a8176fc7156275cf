"""The legacy API, name by name, and the rule that speaks for each; part of docs/coverage.md."""

from __future__ import annotations

from codemods import names, setup
from codemods.decision import UNKNOWN_CODE, _handlers, _symbol_handler

MEMBERS = {
    "tracer": "scope_manager active_span start_active_span start_span inject extract close "
    "finished_spans reset reporter sampler tags service_name one_span_per_rpc random_id report_span",
    "span": "context tracer set_operation_name finish set_tag log_kv set_baggage_item "
    "get_baggage_item log_event log info error __enter__ __exit__ trace_id span_id parent_id flags "
    "operation_name tags logs start_time end_time finish_time finished is_sampled is_debug is_rpc "
    "references",
    "scope": "span manager close __enter__ __exit__",
    "scope_manager": "activate active",
    "span_context": "baggage trace_id span_id parent_id flags with_baggage_item debug_id",
    "config": "initialize_tracer new_tracer create_tracer service_name sampler enabled tags",
    "reporter": "get_spans report_span close",
    "flask_tracing": "tracer trace get_span",
    "django_tracing": "tracer trace get_span",
    "tornado_tracing": "tracer trace get_span",
    "pyramid_tracing": "tracer trace get_span",
}
SYMBOLS = [
    "opentracing.tracer",
    "opentracing.global_tracer",
    "opentracing.set_global_tracer",
    "opentracing.is_global_tracer_registered",
    "opentracing._reset_global_tracer",
    "opentracing.Tracer",
    "opentracing.Span",
    "opentracing.SpanContext",
    "opentracing.Scope",
    "opentracing.ScopeManager",
    "opentracing.Reference",
    "opentracing.ReferenceType",
    "opentracing.child_of",
    "opentracing.follows_from",
    "opentracing.start_child_span",
    "opentracing.Format",
    "opentracing.InvalidCarrierException",
    "opentracing.SpanContextCorruptedException",
    "opentracing.UnsupportedFormatException",
    "opentracing.mocktracer.MockTracer",
    "opentracing.scope_managers.ThreadLocalScopeManager",
    "opentracing.scope_managers.AsyncioScopeManager",
    "opentracing.scope_managers.ContextVarsScopeManager",
    "opentracing.scope_managers.GeventScopeManager",
    "opentracing.scope_managers.TornadoScopeManager",
    "jaeger_client.Config",
    "jaeger_client.Tracer",
    "jaeger_client.Span",
    "jaeger_client.SpanContext",
    "jaeger_client.ConstSampler",
    "jaeger_client.ProbabilisticSampler",
    "jaeger_client.RateLimitingSampler",
    "jaeger_client.RemoteControlledSampler",
    "jaeger_client.reporter.NullReporter",
    "jaeger_client.reporter.InMemoryReporter",
    "jaeger_client.reporter.LoggingReporter",
    "jaeger_client.reporter.CompositeReporter",
    "jaeger_client.reporter.Reporter",
    "jaeger_client.codecs.B3Codec",
    "jaeger_client.codecs.TextCodec",
    "jaeger_client.codecs.span_context_to_string",
    "jaeger_client.metrics.prometheus.PrometheusMetricsFactory",
    "opentracing_instrumentation.get_current_span",
    "opentracing_instrumentation.span_in_context",
    "opentracing_instrumentation.traced_function",
    "opentracing_instrumentation.utils.start_child_span",
    "opentracing_instrumentation.client_hooks.install_all_patches",
    "opentracing_instrumentation.client_hooks.install_patches",
    "opentracing_instrumentation.http_server.before_request",
    "flask_opentracing.FlaskTracing",
    "django_opentracing.DjangoTracing",
    "django_opentracing.OpenTracingMiddleware",
    "grpc_opentracing.open_tracing_client_interceptor",
    "grpc_opentracing.open_tracing_server_interceptor",
    "requests_opentracing.SessionTracing",
    "redis_opentracing.init_tracing",
    "sqlalchemy_opentracing.init_tracing",
    "tornado_opentracing.TornadoTracing",
    "tornado_opentracing.init_tracing",
    "pyramid_opentracing.PyramidTracing",
    "pymongo_opentracing.CommandTracing",
    "celery_opentracing.CeleryTracing",
    "elasticsearch_opentracing.init_tracing",
    "starlette_opentracing.StarletteTracingMiddleWare",
    "fastapi_opentracing.tracer",
    "opentracing_utils.trace",
    "opentracing_utils.init_opentracing_tracer",
    "opentelemetry.exporter.jaeger.JaegerSpanExporter",
    "opentelemetry.ext.jaeger.JaegerSpanExporter",
    "opentelemetry.exporter.jaeger.thrift.JaegerExporter",
    "opentelemetry.exporter.jaeger.proto.grpc.JaegerExporter",
]
IN_CALL = {
    "opentracing.child_of": "JO201",
    "opentracing.follows_from": "JO201",
    "opentracing.Reference": "JO201",
    "opentracing.ReferenceType": "JO201",
    "jaeger_client.ConstSampler": "JO101",
    "jaeger_client.ProbabilisticSampler": "JO101",
    "jaeger_client.RateLimitingSampler": "JO101",
    "jaeger_client.reporter.NullReporter": "JO102",
    "jaeger_client.codecs.B3Codec": "JO102",
    **{f"opentracing.scope_managers.{name}ScopeManager": "JO101"
       for name in ("ThreadLocal", "Asyncio", "ContextVars", "Gevent", "Tornado")},
}  # fmt: skip


def table() -> str:
    """One line for each name: which rule is asked, or that it is reported as unknown."""
    handlers = _handlers()
    rows = ["| name | rule |", "|---|---|"]
    for kind, members in MEMBERS.items():
        for member in members.split():
            found = handlers.members.get((kind, member)) or handlers.members.get((kind, "*"))
            rows.append(f"| {kind}.{member} | {_said(found)} |")
    for symbol in SYMBOLS:
        found = _symbol_handler(handlers, symbol)
        within = IN_CALL.get(symbol)
        rows.append(
            f"| {symbol} | "
            + (f"{within}, inside the call it is an argument of |" if within and found is None
               else f"{_said(found)} |")
        )  # fmt: skip
    rows.append(f"| the {len(names.CONSTANTS)} constants of tags, logs, formats, headers | JO304 |")
    rows += [f"| Config key `{key}` | JO101 |" for key in sorted(setup._READERS)]
    rows += [
        f"| Config key `{key}` | JO101 drops it{': ' + note if note else ''} |"
        for key, note in sorted(setup.DROPPED.items())
    ]
    return "\n".join(rows) + "\n"


def _said(found: object) -> str:
    if found is None:
        return f"{UNKNOWN_CODE}: reported"
    assert isinstance(found, tuple)
    return str(found[0].rule.code)
