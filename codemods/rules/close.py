"""`tracer.close()` becomes a shutdown of the provider."""

from __future__ import annotations

import ast

from codemods.edits import Part
from codemods.kinds import OWN_PROVIDER
from codemods.model import Safety
from codemods.origins import place
from codemods.provider import keeps_provider
from codemods.registry import define
from codemods.site import CannotRewrite, Change, File, Site
from codemods.source import FunctionNode

rule = define(
    code="JO601",
    title="close to shutdown",
    url="https://opentelemetry.io/docs/specs/otel/trace/sdk/#shutdown",
    safety=Safety.SAFE,
    explanation="""\
`shutdown()` sends what is left and returns when it is sent, so the `time.sleep(2)` that usually
stands before `tracer.close()` is no longer needed (it stays, since it may wait for other things).
A tracer that was made with a provider of its own closes that one; it is reported where that
provider is out of reach.
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
    shutdown = (*_provider(site, change), ".shutdown")
    if site.call is None:
        return change.replace(site.node, *shutdown)
    parent = site.parent
    if not isinstance(parent, ast.Expr | ast.Return | ast.Lambda):
        raise CannotRewrite("its future is used; shutdown() blocks until all is sent")
    if _sleeps_before(site):
        change.advice = "The sleep before it is not needed any more."
    return change.replace(site.call, *shutdown, "()")


def _provider(site: Site, change: Change) -> tuple[Part, ...]:
    """The global provider, or the one that a tracer was made with for itself."""
    file = site.file
    fact = file.flow.kinds.get(site.owner) if site.owner is not None else None
    if fact is not None and not fact.made and _is_a_fixture(file, site.owner):
        raise CannotRewrite("it is a fixture's, whose provider is not at hand here")
    made = [(maker, file.flow.makers.get(maker)) for maker in (fact.made if fact else ())]
    for maker, node in made:
        if node is None and fact is not None and fact.detail in OWN_PROVIDER:
            raise _not_at_hand(maker, file)
        if node is None or not keeps_provider(file, node):
            continue
        call = file.parents[node]
        if file.memo.get(("hands on", call)):
            raise CannotRewrite("a NoOpTracerProvider has nothing to send or stop")
        provider = file.memo.get(("provider", call))
        near = file.function(node) in (file.function(site.node), file.source.tree)
        if provider is None or not near or len(made) > 1:
            raise _not_at_hand(maker, file)
        change.depends_on(node)
        assert isinstance(provider, str | ast.expr)
        return (provider,)
    return (f"{change.use('opentelemetry', 'trace')}.get_tracer_provider()",)


def _is_a_fixture(file: File, tracer: ast.AST | None) -> bool:
    """Whether it is a parameter of a test: the other tests still need the global provider."""
    if not isinstance(tracer, ast.Name):
        return False
    test = file.function(tracer)
    if not isinstance(test, FunctionNode) or not test.name.startswith("test_"):
        return False
    return any(one.arg == tracer.id for one in test.args.args)


def _not_at_hand(maker: str, file: File) -> CannotRewrite:
    return CannotRewrite(
        f"the provider of the tracer made in {place(maker, file.flow.module)} is not at "
        "hand here: keep it, and call its shutdown()"
    )


def _sleeps_before(site: Site) -> bool:
    block = site.file.block(site.statement)
    index = block.index(site.statement)
    return index > 0 and "sleep" in ast.dump(block[index - 1])
