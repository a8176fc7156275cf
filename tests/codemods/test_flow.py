"""What the engine knows of names that are not assigned a tracer or span on the line above."""

from __future__ import annotations

import pytest

from codemods import Fate
from tests.codemods.helpers import check, check_untouched, left, run

HEAD = "import opentracing\n\n"
PROGRAMS = {
    "a dict of another scope": (
        "spans = {}\ndef a(k):\n    spans[k] = opentracing.tracer.start_span(k)\n"
        "def b(k):\n    spans.pop(k).finish()\n",
        "spans.pop(k).end()",
    ),
    "a list": (
        "def f():\n    spans = []\n    spans.append(opentracing.tracer.start_span('a'))\n"
        "    for one in spans:\n        one.set_tag('k', 1)\n",
        "one.set_attribute('k', 1)",
    ),
    "an attribute of the class": (
        "class A:\n    def f(self):\n        self.s.finish()\n"
        "    def g(self):\n        self.s = opentracing.tracer.start_span('a')\n",
        "self.s.end()",
    ),
    "an attribute of a base class": (
        "class A:\n    t = opentracing.global_tracer()\nclass B(A):\n"
        "    def f(self):\n        with self.t.start_active_span('a'):\n            pass\n",
        "self.t.start_as_current_span('a')",
    ),
    "a parameter, by its calls": (
        "def f(x):\n    x.set_tag('k', 1)\ndef g():\n    f(opentracing.tracer.start_span('a'))\n",
        "x.set_attribute('k', 1)",
    ),
    "a result": (
        "def f():\n    return opentracing.tracer.start_span('a')\nf().finish()\n",
        "f().end()",
    ),
    "a sorted list": (
        "def f(n):\n    spans = [opentracing.tracer.start_span(str(i)) for i in range(n)]\n"
        "    for one in sorted(spans, key=lambda s: s.context.span_id):\n        one.finish()\n",
        "for one in sorted(spans, key=lambda s: s.get_span_context().span_id):\n        one.end()",
    ),
    "a list that is added to": (
        "spans = []\nspans += [opentracing.tracer.start_span('a')]\n"
        "for one in spans:\n    one.finish()\n",
        "one.end()",
    ),
    "a dict that is updated": (
        "spans = {}\nspans.update(a=opentracing.tracer.start_span('a'))\n"
        "for one in spans.values():\n    one.finish()\n",
        "one.end()",
    ),
    "what a lambda is called with": (
        "def f(pool):\n    s = opentracing.tracer.start_span('a')\n"
        "    (lambda one: one.set_tag('k', 1))(s)\n    pool.submit(lambda one: one.finish(), s)\n",
        "    (lambda one: one.set_attribute('k', 1))(s)\n    pool.submit(lambda one: one.end(), s)",
    ),
    "what a case captures": (
        "match opentracing.tracer.start_span('a'):\n    case one:\n        one.finish()\n",
        "one.end()",
    ),
    "what a lambda gives": (
        "get = lambda: opentracing.tracer.active_span\n"
        "tag = lambda key: get() and get().set_tag(key, 1)\n",
        "tag = lambda key: get() and get().set_attribute(key, 1)",
    ),
    "the active scope that a function gives": (
        "def active():\n    return opentracing.tracer.scope_manager.active\n"
        "active().span.set_tag('k', 1)\n",
        "active().set_attribute('k', 1)",
    ),
    "a filter": (
        "def f(n):\n    spans = [opentracing.tracer.start_span(str(i)) for i in range(n)]\n"
        "    return list(filter(lambda s: s.set_tag('k', 1), spans))[0].finish()\n",
        "lambda s: s.set_attribute('k', 1), spans))[0].end()",
    ),
    "the argument of a function that is mapped": (
        "def f(n):\n    spans = [opentracing.tracer.start_span(str(i)) for i in range(n)]\n"
        "    list(map(end, spans))\ndef end(s):\n    s.finish()\n",
        "s.end()",
    ),
    "a tuple": (
        "def f():\n    return opentracing.tracer, opentracing.tracer.start_span('a')\n"
        "t, s = f()\ns.finish()\n",
        "s.end()",
    ),
    "a walrus": (
        "if (s := opentracing.tracer.active_span) is not None:\n    s.set_tag('k', 1)\n",
        "if (s := trace.get_current_span()).get_span_context().is_valid:",
    ),
    "an attribute of a request": (
        "def f(r):\n    r.span = opentracing.tracer.start_span('a')\n"
        "def g(r):\n    r.span.finish()\n",
        "r.span.end()",
    ),
    "an attribute of what a foreign base class gives": (
        "import http.server\nclass H(http.server.BaseHTTPRequestHandler):\n"
        "    def f(self):\n        with self.server.tracer.start_active_span('a'):\n"
        "            pass\n"
        "    def g(self):\n        self.server.tracer.active_span.set_tag('k', 1)\n",
        "trace.get_current_span().set_attribute('k', 1)",
    ),
    "a closure": (
        "def f():\n    s = opentracing.tracer.start_span('a')\n"
        "    def g():\n        s.finish()\n    return g\n",
        "s.end()",
    ),
    "an exit stack": (
        "def f(stack):\n"
        "    scope = stack.enter_context(opentracing.tracer.start_active_span('a'))\n"
        "    scope.span.set_tag('k', 1)\n",
        "scope.set_attribute('k', 1)",
    ),
}


@pytest.mark.parametrize(("program", "shows"), PROGRAMS.values(), ids=PROGRAMS)
def test_known(program: str, shows: str) -> None:
    result = run(HEAD + program)
    assert shows in result.source.decode()
    assert left(result) == []
    assert run(result.source.decode()).source == result.source


@pytest.mark.parametrize("holder", ["g", "current_app", "flask.g"])
def test_a_tracer_on_an_object_of_a_library_is_seen(holder: str) -> None:
    result = run(
        "import flask\nimport opentracing\nfrom flask import current_app, g\n\n\ndef work():\n"
        f"    with {holder}.tracer.start_active_span('a') as scope:\n"
        "        scope.span.set_tag('b', 'c')\n"
        f"    {holder}.tracer.start_span('d', child_of=scope.span).finish()\n"
    )
    text = result.source.decode()
    assert f"with {holder}.tracer.start_as_current_span('a') as span:" in text
    assert f"{holder}.tracer.start_span('d', context=" in text


def test_a_function_of_a_module_with_a_legacy_name_is_no_legacy_call() -> None:
    check_untouched("from shop.logging import opentracing\n\nopentracing.log_kv({'a': 1})\n")


def test_a_call_of_another_library_is_no_legacy_call() -> None:
    check_untouched("import numpy\n\nnumpy.random.inject('a', 'b')\nnumpy.start_span('a')\n")


@pytest.mark.parametrize(
    "loop",
    [
        "for span, name in zip(spans, names):",
        "for i, span in enumerate(spans):",
        "for span in spans:",
    ],
)
def test_spans_that_are_gone_through_with_others_are_spans(loop: str) -> None:
    result = run(
        "from opentracing.mocktracer import MockTracer\n\ntracer = MockTracer()\n"
        f"spans = tracer.finished_spans()\n{loop}\n    print(span.operation_name)\n"
    )
    assert "print(span.name)" in result.source.decode()


def test_the_tracer_of_a_vendors_library_and_what_it_gives_stay() -> None:
    result = run(
        "import opentracing\nimport lightstep\n\ntracer = lightstep.Tracer(component_name='a')\n"
        "with tracer.start_active_span('a') as scope:\n    scope.span.set_tag('k', 1)\n"
        "tracer.start_span('b').finish()\nopentracing.tracer.start_span('c').finish()\n"
    )
    text = result.source.decode()
    assert "start_active_span('a') as scope:\n    scope.span.set_tag('k', 1)" in text
    assert "tracer.start_span('b').finish()" in text
    assert "trace.get_tracer(__name__).start_span('c').end()" in text
    assert left(result) == [
        "5: opentracing.Tracer.start_active_span",
        "6: opentracing.Span.set_tag",
    ]


def test_the_tracer_of_a_vendors_library_is_not_taken_from_the_global_one() -> None:
    line = "opentracing.tracer = lightstep.Tracer(component_name='a')\n"
    result = run(f"import opentracing\nimport lightstep\n\n{line}")
    assert line in result.source.decode()
    assert left(result) == ["1: opentracing", "4: opentracing.tracer"]


PROXY = """\
import opentracing


class Proxy:
    def __getattr__(self, name):
        return getattr(self.made(), name)

    def __repr__(self):
        return self.made().__repr__()

    def made(self):
        return opentracing.tracer{}


TRACER = Proxy()
TRACER.start_span("a").set_tag("k", 1)
"""


def test_what_hands_out_the_attributes_of_a_tracer_stands_for_it() -> None:
    text = run(PROXY.format("")).source.decode()
    assert text.endswith('TRACER.start_span("a").set_attribute("k", 1)\n')


def test_what_stands_for_a_tracer_that_stays_stays_with_it() -> None:
    result = run(PROXY.format("\n\n    def report(self):\n        self.made().reporter.close()"))
    assert "opentracing.Tracer.start_span" in "".join(left(result))
    assert result.source.decode().endswith('TRACER.start_span("a").set_tag("k", 1)\n')


def test_a_span_is_followed_through_a_context_variable() -> None:
    check(
        """\
        from contextvars import ContextVar
        import opentracing

        current = ContextVar("current", default=None)

        def begin(name):
            current.set(opentracing.tracer.start_span(name))

        def end():
            current.get().set_tag("a", 1)
            current.get().finish()
        """,
        """\
        from contextvars import ContextVar
        from opentelemetry import trace

        tracer = trace.get_tracer(__name__)

        current = ContextVar("current", default=None)

        def begin(name):
            current.set(tracer.start_span(name))

        def end():
            current.get().set_attribute("a", 1)
            current.get().end()
        """,
    )


def test_a_queue_of_tuples_knows_their_parts() -> None:
    result = run(
        "import queue\nimport opentracing\n\n"
        "todo = queue.Queue()\n"
        "with opentracing.tracer.start_span('a') as span:\n"
        "    todo.put(('x', span, span.context))\n"
        "what, one, above = todo.get()\n"
        "one.set_tag('a', 1)\n"
        "opentracing.tracer.start_span('b', child_of=above).finish()\n"
    )
    assert b"one.set_attribute('a', 1)" in result.source
    assert b"set_span_in_context(trace.NonRecordingSpan(above)))" in result.source


def test_a_base_class_tells_what_it_passes_to_methods_it_does_not_have() -> None:
    result = run(
        "import opentracing\n\n"
        "class Base:\n"
        "    def run(self):\n        self.do(opentracing.tracer.start_span('a'))\n\n"
        "class Job(Base):\n"
        "    def do(self, one):\n        one.set_tag('a', 1)\n"
    )
    assert b"one.set_attribute('a', 1)" in result.source


def test_spans_of_a_tuple_are_gone_through() -> None:
    result = run(
        "import opentracing\n\n"
        "both = (opentracing.tracer.start_span('a'), opentracing.tracer.start_span('b'))\n"
        "for one in both:\n    one.finish()\n"
    )
    assert b"one.end()" in result.source


@pytest.mark.parametrize(
    "fill",
    ["made.insert(0, {})", "made.extend([{}])", "made.setdefault('a', {})"],
)
def test_what_is_put_into_a_container_is_followed(fill: str) -> None:
    text = fill.format("opentracing.tracer.start_span('a')")
    result = run(f"import opentracing\n\nmade = []\n{text}\nfor one in made:\n    one.finish()\n")
    assert b"one.end()" in result.source


@pytest.mark.parametrize(
    ("fill", "use"),
    [
        ("kept = {}\nkept['a'] = SPAN", "for key, one in kept.items():\n    one.USE"),
        ("kept = {}\nkept['a'] = SPAN", "for one in list(kept.values()):\n    one.USE"),
        ("kept = {}\nkept[key] = SPAN", "for key, one in list(kept.items()):\n    one.USE"),
        ("kept = {}\nkept[key] = SPAN", "key, one = kept.popitem()\none.USE"),
        ("kept = {}\nkept[key] = (SPAN, 1)", "one, count = kept.pop(key)\none.USE"),
        ("kept = {}\nkept['a'] = SPAN", "kept.get('a').USE"),
        ("kept = {}\nkept['a'] = SPAN\nkept['n'] = 1", "kept.pop('a').USE"),
        ("kept = {'a': SPAN, 'n': 1}", "kept['a'].USE"),
        ("kept = dict(a=SPAN)", "for one in kept.values():\n    one.USE"),
        ("kept = dict([('a', SPAN)])", "for one in kept.values():\n    one.USE"),
        ("kept = dict(zip(names, [SPAN]))", "for one in kept.values():\n    one.USE"),
        ("kept = {n: (SPAN, n) for n in names}", "kept[key][0].USE"),
        ("app.kept = {}\napp.kept[key] = SPAN", "for n, one in app.kept.items():\n    one.USE"),
        ("app.kept = {}\napp.kept['a'] = SPAN", "for n, one in app.kept.items():\n    one.USE"),
    ],
)
def test_what_a_dict_holds_is_followed(fill: str, use: str) -> None:
    head = "import opentracing\n\n\nclass App:\n    pass\n\n\napp = App()\n"
    fill = fill.replace("SPAN", "opentracing.tracer.start_span('a')")
    result = run(f"{head}{fill}\n{use.replace('USE', 'finish()')}\n")
    assert result.source.decode().endswith(f"{use.replace('USE', 'end()')}\n")


@pytest.mark.parametrize(
    "call",
    [
        "threading.Thread(target=work, args=(s,)).start()",
        'threading.Thread(target=work, kwargs={"unit": s}).start()',
        "threading.Timer(1, work, [s]).start()",
        "pool.submit(work, s)",
        "pool.apply_async(work, (s,))",
        "loop.run_in_executor(None, work, s)",
        "functools.partial(work, unit=s)()",
    ],
)
def test_a_span_is_followed_into_a_function_that_is_called_elsewhere(call: str) -> None:
    result = run(
        "import opentracing\n\n\ndef work(unit):\n    unit.set_tag('a', 1)\n    unit.finish()\n\n\n"
        f"s = opentracing.tracer.start_span('x')\n{call}\n"
    )
    assert b"unit.set_attribute('a', 1)\n    unit.end()" in result.source


@pytest.mark.parametrize(
    "call",
    [
        "Worker.work(self, s)",
        "pool.submit(self.work, s)",
        "pool.apply_async(Worker.work, (self, s))",
    ],
)
def test_a_span_is_followed_into_a_method_that_is_called_elsewhere(call: str) -> None:
    result = run(
        "import opentracing\n\n\n"
        "class Worker:\n    def go(self):\n        s = opentracing.tracer.start_span('x')\n"
        f"        {call}\n\n    def work(self, unit):\n        unit.finish()\n"
    )
    assert b"unit.end()" in result.source


def test_a_member_whose_name_only_a_run_can_tell_is_reported() -> None:
    result = run(
        "import opentracing\n\n\ndef record(span, method, *args):\n"
        "    getattr(span, method)(*args)\n\n\n"
        "with opentracing.tracer.start_span('a') as span:\n    record(span, 'set_tag', 'a', 1)\n"
    )
    assert "5: opentracing.Span.(getattr)" in left(result)


def test_lambdas_within_lambdas_are_walked_once_each() -> None:
    nested = "lambda: " * 40 + "opentracing.tracer.start_span('a').finish()"
    text = run(f"import opentracing\n\nwork = {nested}\n").source.decode()
    assert text.endswith("lambda: tracer.start_span('a').end()\n")


@pytest.mark.parametrize(
    "way",
    [
        "from dataclasses import dataclass\n\n\n@dataclass\nclass Job:\n    it: object\n"
        "\n\nJob(SPAN).it.finish()\n",
        "from typing import NamedTuple\n\n\nclass Job(NamedTuple):\n    n: int\n    it: object\n"
        "\n\nJob(1, it=SPAN).it.finish()\n",
    ],
    ids=["dataclass", "NamedTuple"],
)
def test_fields_are_what_the_class_is_made_with(way: str) -> None:
    way = way.replace("SPAN", "opentracing.tracer.start_span('a')")
    assert b".it.end()" in run(f"import opentracing\n{way}").source


@pytest.mark.parametrize(
    "use",
    [
        "def work(*args):\n    args[0].finish()\n\n\nwork(SPAN)\n",
        "its = strange(SPAN)\nits.one.set_tag('a', 'b')\n",
        "class A:\n    def work(self):\n        self.it.finish()\n\n\nsetattr(A(), 'it', SPAN)\n",
    ],
)
def test_a_span_that_went_out_of_sight_is_reported_where_one_may_come_back(use: str) -> None:
    use = use.replace("SPAN", "opentracing.tracer.start_span('a')")
    result = run(f"import opentracing\n\n\n{use}")
    (told,) = (one for one in result.findings if one.fate is Fate.REPORTED)
    assert "outside of what was read" in told.message


def test_a_configuration_that_went_out_of_sight_is_reported() -> None:
    result = run(
        "import opentracing\n\n\ndef start(settings):\n"
        "    opentracing.tracer = settings.jaeger.initialize_tracer()\n"
    )
    assert "5: jaeger_client.Config.initialize_tracer" in left(result)


def test_a_format_in_words_tells_a_tracer_as_its_constant_does() -> None:
    result = run("import opentracing\n\n\ndef f(it, c):\n    return it.extract('text_map', c)\n")
    assert b"propagate.extract(" in result.source


def test_a_finish_that_takes_something_is_no_spans() -> None:
    text = "def get(handler):\n    handler.finish({'a': 1})\n    handler.set_tag('a')\n"
    assert not left(
        run(f"import opentracing\n\nopentracing.tracer.start_span('a').finish()\n\n\n{text}")
    )


@pytest.mark.parametrize("tracer", ["tracer", "lib.tracer", "Lib.tracer"])
def test_a_start_call_of_a_tracer_from_an_unknown_library_is_reported(tracer: str) -> None:
    call = f"{tracer}.start_span('a', child_of=parent)"
    result = run(
        "import lib\nimport opentracing\nfrom lib import Lib, tracer\n\n\n"
        f"def work(parent):\n    {call}\n    opentracing.tracer.start_span('b').finish()\n"
    )
    assert call in result.source.decode()
    assert any(finding.line == 7 and "outside" in finding.message for finding in result.findings)
