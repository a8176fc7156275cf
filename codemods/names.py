"""The values of the legacy constants, and today's semantic-convention names for old ones."""

from __future__ import annotations

TAGS = {
    "SPAN_KIND": "span.kind",
    "SPAN_KIND_RPC_CLIENT": "client",
    "SPAN_KIND_RPC_SERVER": "server",
    "SPAN_KIND_CONSUMER": "consumer",
    "SPAN_KIND_PRODUCER": "producer",
    "SERVICE": "service",
    "ERROR": "error",
    "COMPONENT": "component",
    "SAMPLING_PRIORITY": "sampling.priority",
    "PEER_SERVICE": "peer.service",
    "PEER_HOSTNAME": "peer.hostname",
    "PEER_ADDRESS": "peer.address",
    "PEER_HOST_IPV4": "peer.ipv4",
    "PEER_HOST_IPV6": "peer.ipv6",
    "PEER_PORT": "peer.port",
    "HTTP_URL": "http.url",
    "HTTP_METHOD": "http.method",
    "HTTP_STATUS_CODE": "http.status_code",
    "DATABASE_INSTANCE": "db.instance",
    "DATABASE_STATEMENT": "db.statement",
    "DATABASE_TYPE": "db.type",
    "DATABASE_USER": "db.user",
    "MESSAGE_BUS_DESTINATION": "message_bus.destination",
}
LOGS = {
    "EVENT": "event",
    "MESSAGE": "message",
    "STACK": "stack",
    "ERROR_KIND": "error.kind",
    "ERROR_OBJECT": "error.object",
}
JAEGER = {
    "TRACE_ID_HEADER": "uber-trace-id",
    "BAGGAGE_HEADER_PREFIX": "uberctx-",
    "DEBUG_ID_HEADER_KEY": "jaeger-debug-id",
    "BAGGAGE_HEADER_KEY": "jaeger-baggage",
    "SAMPLER_TYPE_CONST": "const",
    "SAMPLER_TYPE_REMOTE": "remote",
    "SAMPLER_TYPE_PROBABILISTIC": "probabilistic",
    "SAMPLER_TYPE_RATE_LIMITING": "ratelimiting",
    "SAMPLER_TYPE_LOWER_BOUND": "lowerbound",
    "SAMPLER_TYPE_TAG_KEY": "sampler.type",
    "SAMPLER_PARAM_TAG_KEY": "sampler.param",
    "JAEGER_VERSION_TAG_KEY": "jaeger.version",
    "JAEGER_HOSTNAME_TAG_KEY": "hostname",
    "JAEGER_IP_TAG_KEY": "ip",
    "CLIENT_UUID_TAG_KEY": "client-uuid",
}
MOCKTRACER = {
    "field_name_trace_id": "ot-tracer-traceid",
    "field_name_span_id": "ot-tracer-spanid",
    "prefix_tracer_state": "ot-tracer-",
    "prefix_baggage": "ot-baggage-",
}
CONSTANTS = {
    **{f"opentracing.tags.{name}": value for name, value in TAGS.items()},
    **{f"opentracing.logs.{name}": value for name, value in LOGS.items()},
    **{f"jaeger_client.constants.{name}": value for name, value in JAEGER.items()},
    **{f"opentracing.mocktracer.text_propagator.{n}": value for n, value in MOCKTRACER.items()},
    "opentracing.Format.BINARY": "binary",
    "opentracing.Format.TEXT_MAP": "text_map",
    "opentracing.Format.HTTP_HEADERS": "http_headers",
}
KINDS = {
    "client": "CLIENT",
    "server": "SERVER",
    "consumer": "CONSUMER",
    "producer": "PRODUCER",
    "internal": "INTERNAL",
}

# Old attribute names and the stable semantic conventions (1.27 and later) that follow them.
# Source: https://opentelemetry.io/docs/specs/semconv/ (http, db, messaging, network).
SEMCONV = {
    "http.url": "url.full",
    "http.method": "http.request.method",
    "http.status_code": "http.response.status_code",
    "db.instance": "db.namespace",
    "db.statement": "db.query.text",
    "db.type": "db.system.name",
    "peer.hostname": "server.address",
    "peer.address": "network.peer.address",
    "peer.ipv4": "network.peer.address",
    "peer.ipv6": "network.peer.address",
    "peer.port": "network.peer.port",
    "message_bus.destination": "messaging.destination.name",
}
