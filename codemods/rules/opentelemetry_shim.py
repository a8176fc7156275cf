"""OpenTelemetry's own OpenTracing shim: what it stood in for is taken directly."""

from __future__ import annotations

import ast

from codemods.model import Safety
from codemods.provider import provider_setters
from codemods.registry import define
from codemods.site import CannotRewrite, Change, File, Site
from codemods.source import last_name

rule = define(
    code="JO111",
    title="the tracer of OpenTelemetry's OpenTracing shim",
    url="https://opentelemetry.io/docs/specs/otel/compatibility/opentracing/",
    safety=Safety.SAFE,
    explanation="""\
`create_tracer(provider)` becomes a tracer of that provider, and the calls on it become
OpenTelemetry's. `set_global_tracer` of it sets the provider, unless the file does so itself.
""",
    examples=(
        (
            """\
import opentracing
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.shim.opentracing_shim import create_tracer

provider = TracerProvider()
tracer = create_tracer(provider)
opentracing.set_global_tracer(tracer)

with tracer.start_active_span("work") as scope:
    scope.span.set_tag("size", 1)
""",
            """\
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

provider = TracerProvider()
tracer = provider.get_tracer(__name__)
trace.set_tracer_provider(provider)

with tracer.start_as_current_span("work") as span:
    span.set_attribute("size", 1)
""",
        ),
    ),
)


@rule.symbol("opentelemetry.shim.opentracing_shim.create_tracer")
def create_tracer(site: Site) -> Change:
    call = site.call
    if call is None:
        raise CannotRewrite("it is passed on without being called")
    # The parameter had three names: otel_tracer_source, otel_tracer_provider, tracer_provider.
    given = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg)]
    if len(given) != 1 or isinstance(given[0], ast.Starred):
        raise CannotRewrite("its provider is not told by one argument")
    (provider,) = given
    change = site.change("a tracer of the provider itself")
    if _is_global(provider):
        return change.replace(call, f"{change.use('opentelemetry', 'trace')}.get_tracer(__name__)")
    if not isinstance(provider, ast.Name | ast.Attribute):
        raise CannotRewrite("the provider has no name")
    if not _is_made_global(site.file, provider):
        site.file.memo["provider", call] = provider
    return change.replace(call, provider, ".get_tracer(__name__)")


def _is_global(provider: ast.expr) -> bool:
    called = provider.func if isinstance(provider, ast.Call) else None
    return last_name(called) == "get_tracer_provider"


def _is_made_global(file: File, provider: ast.expr) -> bool:
    """Whether the file sets this provider as the global one."""
    given = (one for call in provider_setters(file) for one in call.args)
    return any(file.text(one) == file.text(provider) for one in given)


@rule.member("tracer", "unwrap")
@rule.member("span", "unwrap")
@rule.member("span_context", "unwrap")
def unwrap(site: Site) -> Change:
    if site.call is None or site.owner is None:
        raise CannotRewrite("the method is passed on without being called")
    return site.change("it is what it wrapped").replace(site.call, site.owner)
