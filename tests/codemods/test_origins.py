"""What is done with a tracer, span or context waits for what makes it."""

from __future__ import annotations

from textwrap import dedent

import pytest

from codemods import Fate
from tests.codemods.helpers import check, check_noop, check_untouched, left, run

MOCK = "from opentracing.mocktracer import MockTracer\n\n\n"


@pytest.mark.parametrize(
    "body",
    [
        "def t():\n    return MockTracer() or None\n\n\nt().start_span('a').set_tag('b', 1)\n",
        "def work(t):\n    t.start_span('a').finish()\n\n\ndone = work(MockTracer())\n",
        "def work(*, t=MockTracer()):\n    t.start_span('a').finish()\n",
        "def work(make=MockTracer):\n    make().start_span('a').finish()\n",
        "def work(make):\n    make().start_span('a').finish()\n\n\nwork(MockTracer)\n",
        "t = choose(MockTracer()) or MockTracer()\nt.start_span('a').finish()\n",
        "class A:\n    def __init__(self):\n        self.t = x = MockTracer()\n\n"
        "    def f(self):\n        with self.t.start_active_span('a') as scope:\n"
        "            scope.span.log_kv({'event': 'b'})\n",
        "t = None\n\n\ndef init():\n    global t\n    t = x = MockTracer()\n\n\n"
        "def f():\n    with t.start_active_span('a'):\n        pass\n",
        "def work(*tracers):\n    pass\n\n\nall_of = [MockTracer()]\n"
        "for t in all_of:\n    t.start_span('a').finish()\n",
    ],
    ids=[
        "result",
        "parameter",
        "default",
        "class",
        "passed-class",
        "either",
        "attribute",
        "global",
        "container",
    ],
)
def test_a_tracer_whose_maker_is_reported_keeps_its_calls(body: str) -> None:
    result = check_noop(MOCK + body)
    assert any("stays OpenTracing's" in finding.message for finding in result.findings)


@pytest.mark.parametrize("decorator", ["@pytest.fixture", "@pytest.fixture(scope='module')"])
@pytest.mark.parametrize("gives", ["return MockTracer() or None", "yield MockTracer() or None"])
def test_a_test_waits_for_the_fixture_that_makes_its_tracer(decorator: str, gives: str) -> None:
    result = check_noop(
        f"import pytest\n{MOCK}{decorator}\ndef tracer():\n    {gives}\n\n\n"
        "def test_work(tracer):\n    with tracer.start_active_span('a'):\n        pass\n"
    )
    assert "11: opentracing.Tracer.start_active_span" in left(result)


def test_a_test_whose_fixture_makes_something_unknown_is_reported() -> None:
    check_noop("""\
        import opentracing
        import pytest
        from app import Backend


        @pytest.fixture
        def backend():
            return Backend(opentracing)


        def test_work(backend):
            with backend.start_active_span("a"):
                pass
        """)


def test_a_class_derived_from_a_tracer_keeps_its_calls_in_other_functions() -> None:
    result = run(
        dedent("""\
        import opentracing


        class Mine(opentracing.Tracer):
            pass


        def work(tracer: opentracing.Tracer):
            with tracer.start_active_span("a"):
                pass


        work(Mine())
        """)
    )
    assert b"start_active_span" in result.source


def test_what_waits_for_a_set_up_that_is_held_back_is_held_back_with_it() -> None:
    before = dedent("""\
        from jaeger_client import Config

        config = Config({"sampler": {"type": "const", "param": 1}, "strange": 1}, service_name="a")
        tracer = config.new_tracer()


        def work():
            with tracer.start_active_span("a") as scope:
                scope.span.set_tag("b", "c")
        """)
    result = check_noop(before)
    fates = {f.fate for f in result.findings if f.line > 1}
    assert fates == {Fate.HELD}
    assert b'span.set_attribute("b", "c")' in run(before, unsafe=True).source


def test_a_function_also_given_a_tracer_that_stays_is_rewritten_and_says_so() -> None:
    result = run(
        dedent("""\
        import opentracing
        from opentracing.mocktracer import MockTracer


        def work(tracer):
            with tracer.start_active_span("a"):
                pass


        work(opentracing.global_tracer())
        done = work(MockTracer())
        """)
    )
    start = next(f for f in result.findings if f.construct.endswith("start_active_span"))
    assert start.fate is Fate.REWRITTEN
    assert start.advice == "The tracer made in line 11 comes here too: rewrite that by hand."


def test_a_call_waits_for_the_span_it_is_given() -> None:
    result = check_noop(
        MOCK + "def parent():\n    return MockTracer() or None.start_span('a')\n\n\n"
        "def work(tracer):\n    return tracer.start_span('b', child_of=parent())\n"
    )
    assert "9: opentracing.Tracer.start_span" in left(result)


def test_the_current_span_asked_of_the_scope_manager_waits_for_the_tracer() -> None:
    check_noop(
        MOCK + "def tracer():\n    return MockTracer() or None\n\n\n"
        "def current():\n    return tracer().scope_manager.active\n"
    )


def test_a_tracer_of_unknown_origin_is_rewritten() -> None:
    check(
        "import opentracing\n\n\ndef work(tracer):\n"
        "    return tracer.start_span(operation_name='a')\n",
        "\ndef work(tracer):\n    return tracer.start_span('a')\n",
    )


def test_a_rule_that_is_not_selected_holds_nothing_back() -> None:
    result = run(
        "import opentracing\n\nwith opentracing.tracer.start_active_span('a'):\n    pass\n",
        select=frozenset({"JO201"}),
    )
    assert b"start_as_current_span" in result.source


def test_a_maker_that_a_comment_keeps_holds_its_users_back() -> None:
    check_noop(
        "import opentracing\n\ntracer = opentracing.global_tracer()\n"
        "with tracer.start_active_span('a'):\n    pass\n",
        suppressed=frozenset({(3, "")}),
    )


@pytest.mark.parametrize("place", ["def f(make={}):\n    make()", "f({})", "f(a={})", "g = [{}]"])
def test_global_tracer_passed_on_uncalled_becomes_a_lambda(place: str) -> None:
    imports = "import opentracing\n\n", "from opentelemetry import trace\n\n"
    check(
        imports[0] + place.format("opentracing.global_tracer") + "\n",
        imports[1] + place.format("lambda: trace.get_tracer(__name__)") + "\n",
    )


@pytest.mark.parametrize(
    "text",
    [
        "make = other or opentracing.global_tracer\n",
        "assert opentracing.global_tracer is mine\n",
        "opentracing.set_global_tracer(opentracing.global_tracer)\n",
    ],
)
def test_global_tracer_uncalled_elsewhere_is_reported(text: str) -> None:
    check_noop(f"import opentracing\n\n{text}")


def test_the_global_tracer_set_to_something_unknown_is_reported() -> None:
    check_noop("import opentracing\nfrom app import made\n\nopentracing.set_global_tracer(made)\n")


def test_a_legacy_call_left_on_an_opentelemetry_tracer_is_still_seen() -> None:
    result = check_noop("""\
        from opentelemetry import trace

        tracer = trace.get_tracer(__name__)
        tracer.start_active_span("a", references=made())
        """)
    assert left(result) == ["4: opentracing.Tracer.start_active_span"]


def test_create_tracer_of_a_configuration_made_for_it() -> None:
    check(
        """\
        from jaeger_client import Config, ConstSampler
        from jaeger_client.reporter import InMemoryReporter


        def setup():
            config = Config(config={}, service_name="a")
            reporter = InMemoryReporter()
            tracer = config.create_tracer(sampler=ConstSampler(True), reporter=reporter)
            tracer.start_span("b").finish()
            return reporter.get_spans()
        """,
        """\
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


        def setup():
            reporter = InMemorySpanExporter()
            provider = TracerProvider(resource=Resource.create({SERVICE_NAME: "a"}))
            provider.add_span_processor(SimpleSpanProcessor(reporter))
            tracer = provider.get_tracer(__name__)
            tracer.start_span("b").end()
            return reporter.get_finished_spans()
        """,
    )


def test_a_reporter_given_to_a_tracer_that_stays_stays() -> None:
    check_noop("""\
        from jaeger_client import Config
        from jaeger_client.reporter import InMemoryReporter


        def setup(config: Config):
            reporter = InMemoryReporter()
            tracer = config.create_tracer(reporter, config.sampler)
            return reporter.get_spans()
        """)


def test_plain_opentelemetry_is_not_touched() -> None:
    check_untouched("""\
        from opentelemetry import trace

        with trace.get_tracer(__name__).start_as_current_span("a") as span:
            span.set_attribute("b", 1)
        """)


def test_a_function_that_returns_the_active_span_still_gives_none() -> None:
    check(
        """\
        import opentracing


        def find():
            return opentracing.tracer.active_span


        def of(record, tracer=None):
            span = None
            if record:
                span = opentracing.tracer.active_span
            return span


        def either(record):
            return opentracing.tracer.active_span if record else None


        current = lambda: opentracing.tracer.active_span


        def work(record):
            span = find()
            if span:
                span.set_tag("a", "b")
        """,
        """\
        from opentelemetry import trace


        def find():
            return trace.get_current_span() if trace.get_current_span().get_span_context().is_valid else None


        def of(record, tracer=None):
            span = None
            if record:
                span = trace.get_current_span()
            return span if span is not None and span.get_span_context().is_valid else None


        def either(record):
            return (trace.get_current_span() if trace.get_current_span().get_span_context().is_valid else None) if record else None


        current = lambda: trace.get_current_span() if trace.get_current_span().get_span_context().is_valid else None


        def work(record):
            span = find()
            if span:
                span.set_attribute("a", "b")
        """,  # noqa: E501
    )


def test_a_variable_that_may_hold_no_span_is_asked_for_that_too() -> None:
    check(
        """\
        import opentracing


        class Job:
            def __init__(self):
                self.span = None

            def begin(self):
                self.span = opentracing.tracer.active_span

            def tag(self, other):
                if self.span:
                    self.span.set_tag("a", "b")
                if self.span and other:
                    self.span.set_tag("c", "d")
        """,
        """\
        from opentelemetry import trace


        class Job:
            def __init__(self):
                self.span = None

            def begin(self):
                self.span = trace.get_current_span()

            def tag(self, other):
                if self.span is not None and self.span.get_span_context().is_valid:
                    self.span.set_attribute("a", "b")
                if (self.span is not None and self.span.get_span_context().is_valid) and other:
                    self.span.set_attribute("c", "d")
        """,
    )


def test_a_test_of_several_things_asks_for_a_valid_span_once() -> None:
    check(
        """\
        import opentracing


        def work(other):
            span = opentracing.tracer.active_span
            if span and other:
                span.set_tag("a", "b")
        """,
        """\
        from opentelemetry import trace


        def work(other):
            span = trace.get_current_span()
            if span.get_span_context().is_valid and other:
                span.set_attribute("a", "b")
        """,
    )


def test_a_call_with_a_format_is_one_on_a_tracer_whatever_it_is_called_on() -> None:
    check(
        """\
        import opentracing
        from opentracing import Format


        class Client:
            def __init__(self, channel):
                self.channel = channel

            def send(self, span, headers):
                self.channel.tracer.inject(span.context, opentracing.Format.TEXT_MAP, headers)

            def receive(self, carrier):
                return self.channel.tracer.extract(format=Format.TEXT_MAP, carrier=carrier)
        """,
        """\
        from opentelemetry import context, propagate, trace


        class Client:
            def __init__(self, channel):
                self.channel = channel

            def send(self, span, headers):
                propagate.inject(headers, context=trace.set_span_in_context(span))

            def receive(self, carrier):
                return propagate.extract(carrier, context=context.get_current())
        """,
    )


def test_the_format_in_a_call_that_stays_stays() -> None:
    check_noop("""\
        import opentracing


        class Client:
            def send(self, headers, **options):
                span = self.channel.tracer.start_span("a", tags={}, **options)
                self.channel.tracer.inject(span.context, opentracing.Format.TEXT_MAP, headers)
        """)


def test_a_tracer_waits_for_a_call_on_it_that_is_reported() -> None:
    result = check_noop("""\
        import opentracing


        def start(name, references=None, tracer=None):
            if tracer is None:
                tracer = opentracing.tracer
            return tracer.start_active_span(name, references=references)
        """)
    made = next(f for f in result.findings if f.line == 6)
    assert made.message.startswith("what is done with it in line 7 stays OpenTracing's")


def test_a_tracer_waits_for_its_scope_manager_that_is_reported() -> None:
    check_noop("""\
        import opentracing


        def is_ours(cls):
            return isinstance(opentracing.tracer.scope_manager, cls)
        """)


def test_a_tracer_is_held_back_with_a_call_on_it_that_is_held_back() -> None:
    before = dedent("""\
        import opentracing


        class Client:
            def __init__(self):
                self.tracer = opentracing.global_tracer()

            def start(self, name, **options):
                return self.tracer.start_span(name, **options)
        """)
    result = check_noop(before)
    assert {f.fate for f in result.findings if f.line > 1} == {Fate.HELD}
    assert b"self.tracer = trace.get_tracer(__name__)" in run(before, unsafe=True).source


def test_what_else_is_done_with_a_tracer_that_waits_for_a_call_stays_too() -> None:
    result = check_noop("""\
        import opentracing

        tracer = opentracing.global_tracer()


        def start(name, references):
            return tracer.start_span(name, references=references)


        def work():
            with tracer.start_active_span("a") as scope:
                scope.span.set_tag("b", "c")
        """)
    assert "11: opentracing.Tracer.start_active_span" in left(result)


def test_a_set_up_waits_for_a_call_on_its_tracer() -> None:
    check_noop("""\
        from jaeger_client import Config


        def init(references):
            config = Config({"sampler": {"type": "const", "param": 1}}, service_name="a")
            tracer = config.initialize_tracer()
            tracer.start_span("a", references=references)
        """)


def test_a_tracer_does_not_wait_for_what_is_no_call_on_it() -> None:
    result = run(
        dedent("""\
        import opentracing

        tracer = opentracing.global_tracer()
        print(tracer.tags)


        def work():
            with tracer.start_active_span("a"):
                pass
        """)
    )
    assert b"tracer.start_as_current_span" in result.source
    assert "4: opentracing.Tracer.tags" in left(result)


def test_what_is_asked_at_once_of_something_rewritten_waits_for_the_answer() -> None:
    result = check_noop("import opentracing\n\nopentracing.tracer.scope_manager.active.close()\n")
    assert "3: opentracing.Scope.close" in left(result)


def test_a_configuration_waits_for_the_attributes_read_of_it() -> None:
    check_noop("""\
        from jaeger_client import Config

        config = Config({"sampler": {"type": "const", "param": 1}}, service_name="a")
        print(config.local_agent_reporting_host)
        tracer = config.initialize_tracer()
        """)


def test_what_a_call_that_stays_is_given_stays_with_it() -> None:
    check_noop("""\
        import opentracing


        def work(span, how):
            above = [opentracing.child_of(span.context)]
            opentracing.tracer.start_span("a", child_of=span.context, **how)
        """)


def test_a_legacy_call_left_on_a_tracer_of_a_migrated_module_is_still_seen() -> None:
    result = check_noop("""\
        from opentelemetry import trace

        tracer = trace.get_tracer(__name__)


        def work(how):
            span = tracer.start_span("a", tags={"b": 1}, **how)
            span.log_kv({"event": "c"})
        """)
    assert left(result) == ["7: opentracing.Tracer.start_span", "8: opentracing.Span.log_kv"]


def test_a_span_of_a_tracer_of_unknown_origin_does_not_wait_for_its_uses() -> None:
    result = run(
        "import opentracing\n\n\ndef work(tracer):\n"
        "    span = tracer.start_span('a', tags={'b': 1})\n"
        "    span.unheard_of()\n    span.set_baggage_item('a', 'b')\n"
    )
    assert "tracer.start_span('a', attributes=" in result.source.decode()


LEFT_IN_ITS_FUNCTION = """\
import opentracing


def work(items):
    span = opentracing.tracer.start_span('a')
    span.set_tag('b', 1)
    for item in items:
        span.set_baggage_item('item', item)
    span.finish()
"""


def test_a_span_waits_for_what_its_function_does_with_it() -> None:
    assert run(LEFT_IN_ITS_FUNCTION).source.decode() == LEFT_IN_ITS_FUNCTION


def test_a_span_of_a_tracer_kept_on_an_object_does_not_wait_for_its_function() -> None:
    source = LEFT_IN_ITS_FUNCTION.replace("opentracing.tracer.start", "items.tracer.start")
    assert "span.end()" in run(source).source.decode()


def test_a_span_waits_for_what_a_function_within_does_with_it() -> None:
    source = LEFT_IN_ITS_FUNCTION.replace(
        "    for item in items:\n", "    def each(item):\n"
    ).replace("    span.finish()\n", "    list(map(each, items))\n    span.finish()\n")
    assert run(source).source.decode() == source


def test_where_an_object_of_the_project_takes_the_place_of_a_span_a_note_says_so() -> None:
    result = run(
        "import opentracing\n\n"
        "class NoSpan:\n"
        "    def set_tag(self, key, value):\n        pass\n\n"
        "def span_for(enabled):\n"
        "    if enabled:\n        return opentracing.tracer.start_span('a')\n"
        "    return NoSpan()\n\n"
        "one = span_for(True)\n"
        "one.set_tag('a', 1)\n"
        "one.set_tag('b', 1)\n"
    )
    notes = [(f.line, f.advice) for f in result.findings if "NoSpan" in f.advice]
    assert notes == [(13, "A NoSpan may come here too: give that class the new method as well.")]


@pytest.mark.parametrize(
    "call", ["super().__init__(t)", "super(Mine, self).__init__(t=t)", "Base.__init__(self, t)"]
)
def test_a_tracer_handed_to_the_base_class_waits_for_what_is_done_with_it_there(call: str) -> None:
    result = check_noop(
        "import opentracing\n\n\nclass Base:\n    def __init__(self, t):\n        self.t = t\n\n"
        "    def begin(self, refs):\n        return self.t.start_span('a', references=refs)\n\n\n"
        f"class Mine(Base):\n    def __init__(self, t):\n        {call}\n\n\n"
        "Mine(opentracing.global_tracer())\n"
    )
    assert "17: opentracing.global_tracer" in left(result)


def test_a_method_of_the_base_class_gives_what_it_gives() -> None:
    check(
        "import opentracing\n\n\nclass Base:\n    def begin(self):\n"
        "        return opentracing.tracer.start_span('a')\n\n\n"
        "class Mine(Base):\n    def begin(self):\n        one = super().begin()\n"
        "        one.set_tag('size', 1)\n        return one\n",
        "from opentelemetry import trace\n\n"
        "tracer = trace.get_tracer(__name__)\n\n\nclass Base:\n    def begin(self):\n"
        "        return tracer.start_span('a')\n\n\n"
        "class Mine(Base):\n    def begin(self):\n        one = super().begin()\n"
        "        one.set_attribute('size', 1)\n        return one\n",
    )


@pytest.mark.parametrize("receiver", ["super()", "self", "Mine()"])
def test_what_a_class_derived_from_a_tracer_overrides_keeps_its_calls(receiver: str) -> None:
    result = run(
        "import opentracing\n\n\nclass Mine(opentracing.Tracer):\n"
        "    def start_span(self, operation_name=None, child_of=None, **more):\n"
        f"        return {receiver}.start_span(operation_name, child_of=child_of)\n"
    )
    assert f"{receiver}.start_span(operation_name, child_of=child_of)" in result.source.decode()
    assert "6: opentracing.Tracer.start_span" in left(result)


@pytest.mark.parametrize("kept", ['g.pop("span", None)', 'request.get("span")'])
def test_what_is_kept_on_a_foreign_object_is_known_where_it_is_taken_from_it(kept: str) -> None:
    result = run(
        "import opentracing\nfrom flask import g\n\n\ndef before(request):\n"
        "    g.span = opentracing.tracer.start_span('a')\n\n\n"
        f"def after(request):\n    one = {kept}\n    one.set_tag('a', 1)\n"
    )
    assert b"one.set_attribute('a', 1)" in result.source


def test_a_scope_taken_from_a_foreign_object_waits_for_the_one_kept_there() -> None:
    result = run(
        "import opentracing\nfrom flask import g\n\n\ndef before():\n"
        "    g.scope = opentracing.tracer.start_active_span('a')\n\n\n"
        "def after():\n    scope = g.pop('scope', None)\n    keep(scope)\n"
        "    scope.span.log_kv({'event': 'b'})\n    scope.close()\n"
    )
    assert b"scope.span.log_kv({'event': 'b'})\n    scope.close()" in result.source
    assert {"12: opentracing.Span.log_kv", "13: opentracing.Scope.close"} <= {*left(result)}


@pytest.mark.parametrize("span", ["scope.span", "self.scope.span", "self.repo.t.active_span"])
def test_a_span_asked_of_something_unknown_keeps_its_calls(span: str) -> None:
    result = run(
        "import opentracing\nfrom app import make\n\n\nclass A:\n    def work(self):\n"
        f"        scope = make()\n        {span}.set_tag('a', 1)\n"
    )
    assert f"{span}.set_tag('a', 1)" in result.source.decode()
    assert "8: opentracing.Span.set_tag" in left(result)


def test_a_use_of_a_span_that_another_function_got_rewritten_says_that_it_fails() -> None:
    result = run(
        "import opentracing\n\n\ndef tell(span):\n    print(span.is_debug())\n\n\n"
        "def work():\n    span = opentracing.tracer.start_span('a')\n    tell(span)\n"
    )
    (told,) = (one for one in result.findings if one.line == 5)
    assert "The span is OpenTelemetry's now, so this fails until then." in told.advice


def test_a_function_that_is_put_onto_a_legacy_class_gets_that_classes_objects() -> None:
    check_noop(
        "import opentracing\n\n\ndef tell(span, error):\n    span.set_tag('a', 'b')\n\n\n"
        "opentracing.Span.tell = tell\n"
    )
