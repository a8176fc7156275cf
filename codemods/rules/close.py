"""`tracer.close()` becomes a shutdown of the provider."""

from __future__ import annotations

import ast

from codemods.model import Safety
from codemods.registry import define
from codemods.site import CannotRewrite, Change, Site

rule = define(
    code="JO601",
    title="close to shutdown",
    url="https://opentelemetry.io/docs/specs/otel/trace/sdk/#shutdown",
    safety=Safety.SAFE,
    explanation="""\
`shutdown()` sends what is left and returns when it is sent, so the `time.sleep(2)` that usually
stands before `tracer.close()` is no longer needed (it stays, since it may wait for other things).
""",
    examples=(
        (
            """\
import opentracing

opentracing.tracer.close()
""",
            """\
from opentelemetry import trace

trace.get_tracer_provider().shutdown()
""",
        ),
    ),
)


@rule.member("tracer", "close")
def close(site: Site) -> Change:
    change = site.change("the provider sends what is left and stops")
    shutdown = f"{change.use('opentelemetry', 'trace')}.get_tracer_provider().shutdown"
    if site.call is None:
        return change.replace(site.node, shutdown)
    parent = site.parent
    if not isinstance(parent, ast.Expr | ast.Return | ast.Lambda):
        raise CannotRewrite("its future is used; shutdown() blocks until all is sent")
    if _sleeps_before(site):
        change.advice = "The sleep before it is not needed any more."
    return change.replace(site.call, f"{shutdown}()")


def _sleeps_before(site: Site) -> bool:
    block = site.file.block(site.statement)
    index = block.index(site.statement)
    return index > 0 and "sleep" in ast.dump(block[index - 1])
