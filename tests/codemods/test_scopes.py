"""A scope that is kept, returned or passed on: nothing is attached that others would detach."""

from __future__ import annotations

from textwrap import dedent

import pytest

from codemods import Fate
from tests.codemods.helpers import check, left, run

HEAD = """\
import opentracing

tracer = opentracing.global_tracer()


"""


def test_a_returned_scope_is_entered_by_the_caller() -> None:
    result = check(
        """\
        import opentracing

        tracer = opentracing.global_tracer()


        def started(name):
            scope = tracer.start_active_span(name)
            scope.span.set_tag("port", 80)
            return scope


        def handle():
            with started("a") as scope:
                scope.span.set_tag("port", 81)
        """,
        """\
        from opentelemetry import trace

        tracer = trace.get_tracer(__name__)


        def started(name):
            span = tracer.start_span(name)
            span.set_attribute("port", 80)
            return trace.use_span(span, end_on_exit=True)


        def handle():
            with started("a") as scope:
                scope.set_attribute("port", 81)
        """,
    )
    assert left(result) == []


def test_a_returned_scope_waits_where_something_may_need_it_current() -> None:
    source = HEAD + dedent(
        """\
        def started(name):
            scope = tracer.start_active_span(name)
            work()
            return scope
        """
    )
    finding = next(one for one in run(source).findings if one.code == "JO201")
    assert finding.fate is Fate.HELD
    result = run(source, unsafe=True).source.decode()
    assert "return trace.use_span(span, end_on_exit=True)" in result


@pytest.mark.parametrize(
    "program",
    [
        "def f(scopes):\n    scope = tracer.start_active_span('a')\n    scopes.append(scope)\n",
        "def f(scopes):\n    scopes.append(tracer.start_active_span('a'))\n",
        "def f(self):\n    scope = tracer.start_active_span('a')\n    self.scope = scope\n",
        "def f(on):\n    scope = tracer.start_active_span('a') if on else None\n    print(scope)\n",
        "def f(span):\n    scope = tracer.scope_manager.activate(span, True)\n    return scope\n",
        "scope = None\ndef f():\n    global scope\n    scope = tracer.start_active_span('a')\n"
        "def g():\n    scope.close()\n",
        "def f(on):\n    scope = tracer.scope_manager.active\n    if on:\n"
        "        scope = tracer.start_active_span('a')\n    scope.close()\n",
        "def f(on):\n    scope = tracer.start_active_span('a', finish_on_close=on)\n"
        "    scope.close()\n",
    ],
    ids=[
        "put into a list",
        "put into a list where it is made",
        "put into an attribute",
        "made on a condition",
        "activated and returned",
        "a global of a function",
        "this one or the active one",
        "closed with an end known at run time",
    ],
)
def test_a_scope_whose_closing_is_unknown_is_reported(program: str) -> None:
    result = run(HEAD + program, unsafe=True)
    assert "attach" not in result.source.decode()
    assert any(one.code in ("JO201", "JO205") and one.advice for one in result.findings)
    assert run(result.source.decode(), unsafe=True).source == result.source


@pytest.mark.parametrize("given", ["started()", "await started()", "started() if on else None"])
def test_the_span_of_a_scope_that_a_function_gives_is_reported(given: str) -> None:
    maker = "async def started():\n    return tracer.start_active_span('a')\n\n\n"
    use = f"async def f(on):\n    scope = {given}\n    scope.span.set_tag('b', 1)\n"
    result = run(HEAD + maker + use)
    assert "scope.span.set_tag('b', 1)" in result.source.decode()
    assert left(result) == ["12: opentracing.Scope.span", "12: opentracing.Span.set_tag"]


def test_a_scope_that_nobody_closes_stays_current() -> None:
    result = check(
        """\
        import opentracing

        tracer = opentracing.global_tracer()


        def f():
            scope = tracer.start_active_span("a")
            scope.span.set_tag("port", 80)
        """,
        """\
        from opentelemetry import context, trace

        tracer = trace.get_tracer(__name__)


        def f():
            span = tracer.start_span("a")
            context.attach(trace.set_span_in_context(span))
            span.set_attribute("port", 80)
        """,
    )
    assert any("never closed" in one.message for one in result.findings)


def test_a_name_for_the_span_of_the_active_scope_is_kept() -> None:
    check(
        """\
        import opentracing


        def headers():
            scope = opentracing.tracer.scope_manager.active
            if scope is None:
                return {}
            span = scope.span
            return getattr(span, "extra_headers", {})
        """,
        """\
        from opentelemetry import trace


        def headers():
            scope = trace.get_current_span()
            if not scope.get_span_context().is_valid:
                return {}
            span = scope
            return getattr(span, "extra_headers", {})
        """,
    )


KEPT = """\
import opentracing
from flask import request


def before():
    scope = opentracing.tracer.start_active_span("a")
    request.scope = scope


def after():
    scope = request.scope
    {}
"""


@pytest.mark.parametrize(
    "body",
    [
        "scope.span.finish()",
        "log(scope)\n    scope.close()",
        "return scope",
        "with scope:\n        pass",
        "getattr(request, 'scope').close()",
        "request.scope = scope = other()\n    scope.close()",
    ],
    ids=["unclosed", "passed", "returned", "entered", "asked", "another"],
)
def test_a_scope_on_an_object_that_others_may_get_is_reported(body: str) -> None:
    result = run(KEPT.format(body))
    assert "start_active_span" in result.source.decode()
    start = next(f for f in result.findings if f.construct.endswith("start_active_span"))
    assert "cannot be followed" in start.message


def test_an_object_that_is_made_after_the_scope_cannot_hold_its_token() -> None:
    program = KEPT.format("scope.close()").replace(
        "    request.scope = scope\n\n\n", "    request = made()\n    request.scope = scope\n\n\n"
    )
    assert "start_active_span" in run(program).source.decode()


@pytest.mark.parametrize(
    "program",
    [
        "def f(tracer):\n    scope = tracer.start_active_span('a')\n    g.scope = scope\n"
        "    return scope\n",
        "def f(tracer):\n    scope = tracer.start_active_span('a')\n    return scope\n\n\nf(t)\n",
        "def f(tracer):\n    return tracer.start_active_span('a')\n\n\nf(t)\n",
    ],
)
def test_a_scope_that_is_active_without_being_entered_is_no_context_manager(program: str) -> None:
    result = run(f"import opentracing\n\n\n{program}", unsafe=True)
    assert "start_active_span" in result.source.decode()
    assert left(result)


def test_a_scope_that_comes_out_of_where_it_was_not_seen_going_in_stays_as_a_whole() -> None:
    kept = "scope.span.set_tag('k', 1)\n    scope.close()\n"
    result = run(
        "import opentracing\n\n\ndef before(req):\n"
        "    setattr(req, KEY, opentracing.tracer.start_active_span('a'))\n\n\n"
        f"def after(req):\n    scope = getattr(req, KEY)\n    {kept}"
    )
    assert result.source.decode().endswith(kept)
    assert {"10: opentracing.Scope.span", "11: opentracing.Scope.close"} <= set(left(result))


@pytest.mark.parametrize(
    ("given", "after"),
    [
        ("child_of=None, finish_on_close=True", ""),
        ("finish_on_close=True, tags=None, child_of=None", ""),
        ("child_of=None, finish_on_close=on", ", end_on_exit=on"),
        ("True", ""),  # as OpenTracing 2.0's release candidates had it
        ("False, child_of=None", ", end_on_exit=False"),
    ],
)
def test_whether_leaving_the_block_ends_the_span(given: str, after: str) -> None:
    result = run(
        "import opentracing\n\n"
        f"def f(on):\n    with opentracing.tracer.start_active_span('a', {given}):\n        pass\n"
    )
    assert f"with tracer.start_as_current_span('a'{after}):" in result.source.decode()


def test_a_scope_that_does_not_end_its_span_is_only_detached() -> None:
    result = run(
        "import opentracing\n\ndef f():\n"
        "    scope = opentracing.tracer.start_active_span('a', False)\n    scope.close()\n"
    )
    text = result.source.decode()
    assert "context.detach(span_token)" in text
    assert "span.end()" not in text
    assert any("before OpenTracing 2.0" in finding.advice for finding in result.findings)


@pytest.mark.parametrize("read", ["getattr(g, 'scope', None)", "g.pop('scope', None)", "g.scope"])
def test_a_scope_kept_on_an_object_is_closed_where_it_is_read(read: str) -> None:
    result = run(
        "import opentracing\nfrom flask import g\n\n\ndef before():\n"
        "    g.scope = opentracing.tracer.start_active_span('a')\n\n\ndef after():\n"
        f"    scope = {read}\n    if scope is not None:\n"
        "        scope.span.set_tag('k', 1)\n        scope.close()\n"
    )
    text = result.source.decode()
    assert "    g.scope_token = context.attach(trace.set_span_in_context(g.scope))\n" in text
    assert text.endswith(
        "        scope.set_attribute('k', 1)\n        context.detach(g.scope_token)\n"
        "        scope.end()\n"
    )


@pytest.mark.parametrize("use", ["close()", "span.set_tag('a', 'b')"])
def test_a_scope_kept_under_a_name_that_nobody_knows_again_stays(use: str) -> None:
    result = run(
        "import opentracing\n\n\ndef before(request):\n"
        "    request.it = opentracing.tracer.start_active_span('a')\n\n\n"
        f"def after(request):\n    request.it.{use}\n"
    )
    assert b"request.it = opentracing.tracer.start_active_span('a')" in result.source
    assert "5: opentracing.Tracer.start_active_span" in left(result)
