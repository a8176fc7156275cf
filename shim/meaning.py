"""What Jaeger itself makes of a legacy span: kind, status, events and links out of tags and logs.

The reference is the translator of Jaeger's own thrift receiver
(https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/pkg/translator/jaeger).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from opentelemetry import trace
from opentracing.tracer import ReferenceType

# OTLP's numbers; 0 is unspecified, which the SDK's SpanKind has no member for.
KINDS = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_SERVER = KINDS["server"]

UNSET, OK, ERROR = 0, 1, 2


class Meaning(NamedTuple):
    """Tags after translation. `kind` and `code` are OTLP's numbers."""

    attributes: dict[str, Any]
    kind: int
    code: int
    description: str


def translate(tags: dict[str, Any], status: trace.Status | None) -> Meaning:
    """Takes kind and status out of the tags. An explicit `status` (native code's) wins."""
    attributes = tags.copy()
    kind = 0
    if "span.kind" in attributes:
        kind = KINDS.get(str(attributes.pop("span.kind")), 0)
    code, description = UNSET, ""
    if "error" in tags or "http.status_code" in tags or "otel.status_code" in tags:
        code, description = _status(attributes, kind)
    if status is not None:
        code, description = status.status_code.value, status.description or ""
    return Meaning(attributes, kind, code, description)


def event_of(name: str | None, fields: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name and attributes of an event; a log without a textual `event` is called `log`."""
    if name is None:
        name = fields.get("event")
        if isinstance(name, str):
            return name or "log", {key: fields[key] for key in fields if key != "event"}
        return "log", fields
    return name, fields


def links_of(references: list[Any] | None, context: Any) -> list[trace.Link]:
    """All references but the child_of that names the parent, each with its type."""
    links = []
    for reference in references or ():
        target = reference.referenced_context
        follows = reference.type == ReferenceType.FOLLOWS_FROM
        is_parent = target.span_id == context.parent_id and target.trace_id == context.trace_id
        if target.has_trace and (follows or not is_parent):
            kind = "follows_from" if follows else "child_of"
            links.append(trace.Link(target.to_otel(), {"opentracing.ref_type": kind}))
    return links


def _status(attributes: dict[str, Any], kind: int) -> tuple[int, str]:
    told = attributes.pop("otel.status_code", None)
    if attributes.get("error") is True:
        del attributes["error"]
        description = attributes.pop("otel.status_description", None)
        if description is None:
            description = attributes.get("http.status_message", "")
        return ERROR, str(description)
    if told is not None:
        description = attributes.pop("otel.status_description", "")
        return {"OK": OK, "ERROR": ERROR}.get(str(told).upper(), UNSET), str(description)
    if "http.status_code" in attributes and _failed(attributes["http.status_code"], kind):
        if attributes.get("error") is False:
            del attributes["error"]
        return ERROR, str(attributes.get("http.status_message", ""))
    return UNSET, ""


def _failed(http_status: Any, kind: int) -> bool:
    """From 500, and from 400 except for servers; a number as text counts."""
    if isinstance(http_status, (bool, float)):
        return False
    try:
        number = int(http_status)
    except ValueError:
        return False
    if kind == _SERVER and 400 <= number < 500:
        return False
    return not 100 <= number < 400
