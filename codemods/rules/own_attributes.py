"""Attributes that a program itself puts on spans."""

from __future__ import annotations

from codemods.model import Safety
from codemods.registry import define
from codemods.site import Change, Site

rule = define(
    code="JO505",
    title="attributes of the program's own on spans",
    url="https://docs.python.org/3/reference/datamodel.html#customizing-attribute-access",
    safety=Safety.SAFE,
    explanation="""\
What a program keeps on a span object (`span.extra_headers = ...`) stays: spans of OpenTelemetry's
SDK, and those that do not record, take attributes too. `span.__enter__()` and `span.__exit__()`
mean the same in both worlds.
""",
    examples=(
        (
            """\
import opentracing

span = opentracing.tracer.start_span("work")
span.started_by = "cron"
""",
            """\
from opentelemetry import trace

tracer = trace.get_tracer(__name__)

span = tracer.start_span("work")
span.started_by = "cron"
""",
        ),
    ),
)
# Members of legacy spans that no other rule knows; they have no counterpart.
_LEGACY = frozenset(
    {"info", "error", "log", "is_rpc", "is_rpc_client", "is_debug", "flags", "debug_id", "logs",
     "references", "update_lock", "tags", "finished", "start_time", "end_time", "finish_time",
     "get_baggage", "parent"}
)  # fmt: skip


@rule.member("span", "*")
def own_attribute(site: Site) -> Change | None:
    if site.member in _LEGACY:
        return None
    change = site.change("the program's own attribute, or one of the same meaning")
    return change.replace(site.node, site.node)
