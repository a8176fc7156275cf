"""Constants of the legacy libraries become the strings they are."""

from __future__ import annotations

import ast

from codemods.model import Safety
from codemods.names import CONSTANTS, SEMCONV
from codemods.registry import define
from codemods.site import Change, Report, Site

rule = define(
    code="JO304",
    title="tag, log and header constants",
    url="https://github.com/opentracing/specification/blob/master/semantic_conventions.md",
    safety=Safety.SAFE,
    explanation="""\
`tags.HTTP_METHOD` is just `"http.method"`. The old names stay, because dashboards and alerts depend
on them; `--semconv` writes the names of today's semantic conventions instead.
""",
    examples=(
        (
            """\
import opentracing
from opentracing.ext import tags


def get(url):
    opentracing.tracer.active_span.set_tag(tags.HTTP_URL, str(url))
""",
            """\
from opentelemetry import trace


def get(url):
    trace.get_current_span().set_attribute("http.url", str(url))
""",
        ),
    ),
)


HEADERS = (
    "jaeger_client.constants.TRACE_ID_HEADER",
    "jaeger_client.constants.BAGGAGE_HEADER_PREFIX",
    "opentracing.mocktracer.text_propagator.",
)
PROPAGATORS = (
    "As a header's name it means nothing to OpenTelemetry's own propagators, which speak "
    "`traceparent` and `baggage`."
)


@rule.symbol(
    "opentracing.tags.*",
    "opentracing.logs.*",
    "opentracing.mocktracer.text_propagator.*",
    "jaeger_client.constants.*",
    "opentracing.Format.*",
)
def constant(site: Site) -> Change | Report | None:
    value = CONSTANTS.get(site.construct)
    if value is None or isinstance(getattr(site.node, "ctx", None), ast.Store):
        return None
    advice = PROPAGATORS if site.construct.startswith(HEADERS) else ""
    change = site.change("the constant as the string it is", advice=advice)
    if site.options.semconv:
        value = SEMCONV.get(value, value)
    if site.construct.startswith("opentracing.Format.") and (call := _telling(site)):
        change.depends_on(call)
    return change.replace(site.node, quoted(site, value))


def _telling(site: Site) -> ast.Call | None:
    """The call of which this format alone tells that it is on a tracer: both stay, or neither."""
    file = site.file
    parent = file.parents[site.node]
    if isinstance(parent, ast.keyword):
        parent = file.parents[parent]
    if not isinstance(parent, ast.Call) or (owner := file.flow.members.get(parent.func)) is None:
        return None
    return parent if owner.detail in ("duck", "foreign") else None


def quoted(site: Site, value: str) -> str:
    """The string in the quotes the file prefers, or in those an f-string around it leaves free."""
    for ancestor in site.file.ancestors(site.node):
        if isinstance(ancestor, ast.JoinedStr):
            return f"'{value}'" if '"' in site.file.text(ancestor)[:5] else f'"{value}"'
    text = site.file.source.text
    return f"'{value}'" if text.count("'") > text.count('"') else f'"{value}"'
