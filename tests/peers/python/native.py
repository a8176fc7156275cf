"""A small service on OpenTelemetry alone, with our propagators named by entry point.

Started by `opentelemetry-instrument`, its SDK is set up by the environment; nothing here
imports the shim.
"""

from __future__ import annotations

import os
from typing import Any

from opentelemetry import baggage, trace
from opentelemetry.context import Context
from opentelemetry.propagate import get_global_textmap
from opentelemetry.trace import SpanKind
from opentelemetry.util._importlib_metadata import entry_points
from web import Query, get, serve

(b3_point,) = entry_points(group="opentelemetry_propagator", name="jaeger_b3multi")
PROPAGATORS = {"uber": get_global_textmap(), "b3": b3_point.load()()}
TRACER = trace.get_tracer("peer")


def describe(span: Any, context: Context) -> dict[str, Any]:
    ids = span.get_span_context()
    parent = getattr(span, "parent", None)
    parent_id = f"{parent.span_id if parent else 0:x}" if span.is_recording() else None
    return {
        "trace_id": f"{ids.trace_id:x}",
        "span_id": f"{ids.span_id:x}",
        "parent_id": parent_id,
        "flags": None,
        "sampled": bool(ids.trace_flags.sampled),
        "debug": None,
        "baggage": dict(baggage.get_all(context)),
    }


def call(headers: dict[str, str], query: Query) -> dict[str, Any]:
    propagator = PROPAGATORS[query["propagation"][0]]
    context = propagator.extract(headers, Context())
    server = TRACER.start_span("serve", context, kind=SpanKind.SERVER)
    for item in query.get("baggage", []):
        key, _, value = item.partition("=")
        context = baggage.set_baggage(key, value, context)
    context = trace.set_span_in_context(server, context)
    answer: dict[str, Any] = {"peer": os.environ["PEER_NAME"], "server": describe(server, context)}
    if "to" in query:
        with TRACER.start_as_current_span("call", context, kind=SpanKind.CLIENT) as client:
            sent: dict[str, str] = {}
            propagator.inject(sent, trace.set_span_in_context(client, context))
            answer["client"] = describe(client, context)
            answer["next"] = get(query["to"][0], sent)
    server.end()
    return answer


serve(call)
