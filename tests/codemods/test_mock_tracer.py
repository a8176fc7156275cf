"""MockTracer in tests: a provider of the test's own that exports into memory."""

from __future__ import annotations

from textwrap import dedent

import pytest

from tests.codemods.helpers import check, check_noop, left, run

IMPORTS = """\
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
"""


@pytest.mark.parametrize(
    "body",
    [
        "def tracer():\n    return MockTracer() or None\n",
        "tracer = chosen(MockTracer())\n",
        "patch('app.tracer', MockTracer())\n",
        "class Mine(MockTracer):\n    pass\n",
        "import opentracing\n\nopentracing.tracer = MockTracer()\n",
    ],
)
def test_a_tracer_whose_exporter_is_out_of_reach_is_reported(body: str) -> None:
    check_noop(f"from opentracing.mocktracer import MockTracer\n\n{body}")


def test_one_that_is_only_given_to_a_call_needs_no_exporter() -> None:
    check(
        "from opentracing.mocktracer import MockTracer\n\n"
        "app.add_middleware(Tracing, tracer=MockTracer())\n",
        "from opentelemetry.sdk.trace import TracerProvider\n\n"
        "app.add_middleware(Tracing, tracer=TracerProvider().get_tracer(__name__))\n",
    )


def test_on_self_in_a_test_case() -> None:
    check(
        """\
        from opentracing.mocktracer import MockTracer


        class WorkTest(TestCase):
            def setUp(self):
                self.tracer = MockTracer()

            def test_work(self):
                self.tracer.reset()
                work(self.tracer)
                self.assertEqual(len(self.tracer.finished_spans()), 1)
        """,
        IMPORTS
        + """\


class WorkTest(TestCase):
    def setUp(self):
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = provider.get_tracer(__name__)

    def test_work(self):
        self.exporter.clear()
        work(self.tracer)
        self.assertEqual(len(self.exporter.get_finished_spans()), 1)
""",
    )


def test_a_scope_manager_is_not_needed() -> None:
    check(
        """\
        from opentracing.mocktracer import MockTracer
        from opentracing.scope_managers.contextvars import ContextVarsScopeManager

        mock_tracer = MockTracer(ContextVarsScopeManager())
        assert mock_tracer.finished_spans() == []
        """,
        IMPORTS
        + """\

mock_exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(mock_exporter))
mock_tracer = provider.get_tracer(__name__)
assert list(mock_exporter.get_finished_spans()) == []
""",
    )


def test_spans_of_a_tracer_from_elsewhere_are_reported() -> None:
    result = run(
        "from opentracing.mocktracer import MockTracer\n\n\n"
        "def test_work(tracer: MockTracer):\n    assert tracer.finished_spans()\n"
    )
    assert left(result) == ["5: opentracing.Tracer.finished_spans"]


@pytest.mark.parametrize("word", ["return", "yield"])
def test_a_fixture_hands_out_the_exporter_with_the_tracer(word: str) -> None:
    check(
        f"""\
        import pytest
        from opentracing.mocktracer import MockTracer


        @pytest.fixture
        def mock() -> MockTracer:
            {word} MockTracer()


        def test_work(mock: MockTracer):
            assert mock.finished_spans() == []
            mock.reset()
        """,
        f"""\
        import pytest
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


        @pytest.fixture
        def mock() -> trace.Tracer:
            exporter = InMemorySpanExporter()
            provider = TracerProvider()
            provider.add_span_processor(SimpleSpanProcessor(exporter))
            tracer = provider.get_tracer(__name__)
            tracer.exporter = exporter
            {word} tracer


        def test_work(mock: trace.Tracer):
            assert list(mock.exporter.get_finished_spans()) == []
            mock.exporter.clear()
        """,
    )


def test_finished_spans_are_followed_through_sorting_filters_and_functions() -> None:
    result = run(
        dedent("""\
        from opentracing.mocktracer import MockTracer

        def tagged(spans):
            return filter(lambda one: one.tags.get("size"), spans)

        tracer = MockTracer()
        ordered = sorted(tracer.finished_spans(), key=lambda one: one.operation_name)
        assert next(tagged(ordered)).tags["size"] == 1
        """)
    )
    after = result.source.decode()
    assert "filter(lambda one: one.attributes.get" in after
    assert "key=lambda one: one.name" in after
    assert "next(tagged(ordered)).attributes[" in after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("assert len(tracer.finished_spans()) == 1", "assert len(SPANS) == 1"),
        ("check(tracer.finished_spans(), [])", "check(list(SPANS), [])"),
        ("one, two = tracer.finished_spans()", "one, two = SPANS"),
        ("spans = tracer.finished_spans()\nprint(spans[0], len(spans))", "SPANS; ...len(spans))"),
        ("spans = tracer.finished_spans()\ncheck(spans, [])", "list(SPANS); ...[])"),
        ("spans = tracer.finished_spans()\nspans.reverse()", "list(SPANS); ...reverse()"),
    ],
)
def test_finished_spans_are_a_list_where_a_tuple_would_not_do(before: str, after: str) -> None:
    head = "from opentracing.mocktracer import MockTracer\ntracer = MockTracer()\n"
    text = run(head + before).source.decode()
    first, _, last = after.replace("SPANS", "exporter.get_finished_spans()").partition("; ...")
    assert first in text
    assert text.endswith(last)
    assert ("list(" in text) == ("list(" in after)


@pytest.mark.parametrize("way", ["opentracing.set_global_tracer({})", "opentracing.tracer = {}"])
@pytest.mark.parametrize(
    "body",
    [
        "@pytest.fixture\ndef tracer():\n    return MockTracer()\n\n\n"
        "@pytest.fixture(autouse=True)\ndef everywhere(tracer):\n    {}\n    yield\n",
        "@pytest.fixture\ndef tracer():\n    tracer = MockTracer()\n    {}\n    return tracer\n",
        "class TestIt:\n    def setUp(self):\n        tracer = MockTracer()\n        {}\n",
    ],
    ids=["fixture-of-a-fixture", "fixture", "setUp"],
)
def test_one_that_becomes_the_global_tracer_for_each_test_is_reported(body: str, way: str) -> None:
    result = run(
        "import opentracing\nimport pytest\nfrom opentracing.mocktracer import MockTracer\n\n\n"
        + body.format(way.format("tracer"))
    )
    assert "can be set only once" in " ".join(f.message for f in result.findings)
    assert way.format("tracer") in result.source.decode()


def test_finished_spans_that_a_function_is_given_are_known_there() -> None:
    result = run(
        "from opentracing.mocktracer import MockTracer\n\n\ndef named(spans, name):\n"
        "    return [one for one in spans if one.operation_name == name]\n\n\n"
        "def test_work():\n    tracer = MockTracer()\n    spans = tracer.finished_spans()\n"
        "    assert named(spans, 'a')[0].parent_id is None\n"
    )
    assert "if one.name == name" in result.source.decode()
    assert not left(result)


def test_a_mock_tracer_that_came_from_elsewhere_is_reported() -> None:
    result = run(
        "import opentracing\n\n\ndef test_work(tracing):\n"
        "    assert len(tracing.tracer.finished_spans()) == 1\n"
    )
    assert [f.line for f in result.findings if f.code == "JO701"] == [5]


def test_a_fixture_that_names_its_tracer_hands_out_the_exporter_too() -> None:
    check(
        """\
        import pytest
        from opentracing.mocktracer import MockTracer


        @pytest.fixture
        def mock():
            tracer = MockTracer()
            yield tracer
            tracer.reset()


        def test_work(mock):
            work(mock)
            assert len(mock.finished_spans()) == 1
        """,
        f"""\
import pytest
{IMPORTS}

@pytest.fixture
def mock():
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer(__name__)
    tracer.exporter = exporter
    yield tracer
    exporter.clear()


def test_work(mock):
    work(mock)
    assert len(mock.exporter.get_finished_spans()) == 1
""",
    )


def test_one_that_a_property_gives_has_its_exporter() -> None:
    result = run(
        "from opentracing.mocktracer import MockTracer\n\n\n"
        "class Box:\n"
        "    def __init__(self):\n        self._tracer = MockTracer()\n\n"
        "    @property\n    def tracer(self):\n        return self._tracer\n\n\n"
        "def test_work():\n    box = Box()\n    assert not box.tracer.finished_spans()\n"
    )
    assert not left(result)
    assert "self._tracer.exporter = self._exporter" in result.source.decode()
    assert "not box.tracer.exporter.get_finished_spans()" in result.source.decode()


@pytest.mark.parametrize(
    ("made", "exporter"),
    [
        ("    tracer = MockTracer()\n", "    exporter = InMemorySpanExporter()\n"),
        (
            "    @classmethod\n    def setUpClass(cls):\n        cls.tracer = MockTracer()\n",
            "        cls.exporter = InMemorySpanExporter()\n",
        ),
        (
            "    def setUp(self):\n        self.tracer = MockTracer()\n",
            "        self.exporter = InMemorySpanExporter()\n",
        ),
    ],
)
def test_one_of_a_class_is_asked_in_those_that_derive_from_it(made: str, exporter: str) -> None:
    result = run(
        f"from opentracing.mocktracer import MockTracer\n\n\nclass Base(TestCase):\n{made}\n\n"
        "class WorkTest(Base):\n    def test_work(self):\n"
        "        self.assertEqual(len(self.tracer.finished_spans()), 1)\n"
    )
    assert not left(result)
    assert exporter in result.source.decode()
    assert "len(self.exporter.get_finished_spans())" in result.source.decode()
