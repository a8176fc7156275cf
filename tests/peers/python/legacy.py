"""A small service on jaeger_client: takes part in a trace and says what it saw.

Unchanged it also runs on the shim: with `import shim.auto` before it.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

from jaeger_client import Config
from opentracing import Format, tags
from web import Query, get, serve


@lru_cache
def tracer(propagation: str, bits: str) -> Any:
    host, _, port = os.environ.get("PEER_AGENT", "").partition(":")
    config = {
        "sampler": {"type": "const", "param": 1},
        "generate_128bit_trace_id": bits == "128",
        "reporter_batch_size": 1,
        "local_agent": {"reporting_host": host or "127.0.0.1", "reporting_port": port or "9"},
    }
    if propagation == "b3":
        config["propagation"] = "b3"
    return Config(config, service_name=f"peer-{os.environ['PEER_NAME']}").new_tracer()


def describe(span: Any) -> dict[str, Any]:
    return {
        "trace_id": f"{span.trace_id:x}",
        "span_id": f"{span.span_id:x}",
        "parent_id": f"{span.parent_id or 0:x}",
        "flags": span.flags,
        "sampled": bool(span.is_sampled()),
        "debug": bool(span.is_debug()),
        "baggage": dict(span.context.baggage),
    }


def call(headers: dict[str, str], query: Query) -> dict[str, Any]:
    t = tracer(query["propagation"][0], query["bits"][0])
    parent = t.extract(Format.HTTP_HEADERS, headers)
    server_tags = {tags.SPAN_KIND: tags.SPAN_KIND_RPC_SERVER}
    server = t.start_span("serve", child_of=parent, tags=server_tags)
    if "debug" in query:
        server.set_tag(tags.SAMPLING_PRIORITY, 1)
    for item in query.get("baggage", []):
        key, _, value = item.partition("=")
        server.set_baggage_item(key, value)
    answer: dict[str, Any] = {"peer": os.environ["PEER_NAME"], "server": describe(server)}
    if "to" in query:
        client_tags = {tags.SPAN_KIND: tags.SPAN_KIND_RPC_CLIENT}
        with t.start_span("call", child_of=server, tags=client_tags) as client:
            sent: dict[str, str] = {}
            t.inject(client, Format.HTTP_HEADERS, sent)
            answer["client"] = describe(client)
            answer["next"] = get(query["to"][0], sent)
    server.finish()
    return answer


serve(call)
