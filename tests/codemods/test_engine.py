"""What the engine promises for any file: what it leaves, what it refuses, what it keeps."""

from __future__ import annotations

from textwrap import dedent

import pytest

from codemods import Fate, Unreadable, is_candidate, module_facts
from tests.codemods.helpers import check, check_noop, check_untouched, left, run

WITH_SPAN = """\
import opentracing


def f():
    with opentracing.tracer.start_active_span("a") as scope:
        scope.span.set_tag("b", 1)
"""


def test_a_facade_with_legacy_names_is_untouched() -> None:
    check_untouched(
        """\
        from app.logging import opentracing, tags
        from app.logging.opentracing import log_kv, start_active_span

        def f():
            with start_active_span("a"):
                opentracing.set_tag(tags.ERROR, True)
                log_kv({"event": "x"})
        """
    )


def test_a_local_class_with_legacy_names_is_untouched() -> None:
    check_untouched(
        """\
        class Tracer:
            def start_active_span(self, name):
                return self

            def inject(self, span, format, carrier):
                pass

        def f():
            Tracer().start_active_span("a")
        """
    )


def test_a_legacy_package_is_not_legacy_in_its_own_files() -> None:
    text = "from fastapi_opentracing import tracer\n\nprint(tracer)\n"
    result = run(text, path="src/fastapi_opentracing/app.py")
    assert result.source.decode() == text
    assert result.findings == ()


def test_other_tracers_are_untouched() -> None:
    check_untouched(
        """\
        import sentry_sdk

        def f(span):
            with sentry_sdk.start_span("a") as span:
                span.set_tag("b", 1)
        """
    )


def test_opentelemetry_code_is_untouched() -> None:
    check_untouched(
        """\
        from opentelemetry import trace

        tracer = trace.get_tracer(__name__)

        def f():
            with tracer.start_as_current_span("a") as span:
                span.set_attribute("b", 1)
        """
    )


def test_an_object_of_unknown_origin_is_reported() -> None:
    result = check_noop(
        """\
        from elsewhere import get_tracer

        with get_tracer().start_active_span("a") as scope:
            pass
        """
    )
    assert left(result) == ["3: opentracing.Tracer.start_active_span"]


def test_what_is_done_with_a_span_waits_for_what_makes_it() -> None:
    before = """\
        import opentracing


        def f(tracer, options):
            span = tracer.start_span(**options)
            span.set_tag("a", 1)
            return opentracing.tags.ERROR
        """
    assert b'span.set_tag("a", 1)' in run(dedent(before)).source
    assert b'span.set_attribute("a", 1)' in run(dedent(before), unsafe=True).source


def test_facts_make_another_modules_tracer_known() -> None:
    facts = module_facts(
        b"import opentracing\ntracer = opentracing.global_tracer()\n",
        module="lib.tracing",
        is_package=False,
        known={},
    )
    assert facts["lib.tracing.tracer"].kind == "tracer"
    check_with = "from lib.tracing import tracer\n\nwith tracer.start_active_span('a'):\n    pass\n"
    result = run(check_with, facts=facts)
    assert b"tracer.start_as_current_span('a')" in result.source


def test_facts_of_a_call_make_a_parameter_known() -> None:
    facts = module_facts(
        b"import opentracing\nfrom lib import work\nwork(opentracing.tracer.start_span('a'))\n",
        module="app",
        is_package=False,
        known={},
    )
    assert facts["lib.work(0)"].kind == "span"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_newlines_are_kept(newline: str) -> None:
    result = run(WITH_SPAN.replace("\n", newline))
    text = result.source.decode()
    assert "start_as_current_span" in text
    assert text.replace(newline, "").find("\n") == -1
    assert newline in text


def test_a_byte_order_mark_is_kept() -> None:
    result = run("\ufeff" + WITH_SPAN)
    assert result.source.startswith(b"\xef\xbb\xbffrom opentelemetry")


def test_another_encoding_is_kept() -> None:
    from codemods import Options, rewrite

    text = "# coding: latin-1\n# \xe9\n" + WITH_SPAN
    source = text.encode("latin-1")
    result = rewrite(source, path="a.py", module="a", is_package=False, facts={}, options=Options())
    assert "# \xe9\n".encode("latin-1") in result.source
    assert b"start_as_current_span" in result.source


def test_tabs_and_comments_are_kept() -> None:
    check(
        "import opentracing\n\n\ndef f(s):\n\twith opentracing.tracer.start_active_span(\n"
        "\t\t'a',  # name\n\t\tchild_of=None,  # none\n\t) as scope:  # go\n"
        "\t\tscope.span.set_tag('b', 1)  # one\n",
        "from opentelemetry import trace\n\ntracer = trace.get_tracer(__name__)\n\n\ndef f(s):\n"
        "\twith tracer.start_as_current_span(\n\t\t'a',  # none\n\t) as span:  # go\n"
        "\t\tspan.set_attribute('b', 1)  # one\n",
    )


def test_an_import_does_not_move_above_monkey_patching() -> None:
    check(
        """\
        from gevent import monkey; monkey.patch_all()
        import opentracing

        opentracing.tracer.close()
        """,
        """\
        from gevent import monkey; monkey.patch_all()
        from opentelemetry import trace

        trace.get_tracer_provider().shutdown()
        """,
    )


def test_a_taken_name_is_not_shadowed() -> None:
    check(
        """\
        import opentracing


        def trace(context):
            opentracing.tracer.active_span.finish()
        """,
        """\
        from opentelemetry import trace as otel_trace


        def trace(context):
            otel_trace.get_current_span().end()
        """,
    )


def test_an_import_stays_while_a_quoted_annotation_needs_it() -> None:
    result = check_noop(
        """\
        import opentracing

        def f(span: "dict[str, opentracing.unheard_of]"):
            pass
        """
    )
    assert left(result) == ["1: opentracing", "3: opentracing.(quoted annotation)"]


def test_marks_are_set_once() -> None:
    before = """\
        import opentracing


        def f(name):
            opentracing.tracer.inject(name, "binary", {})
        """
    result = run(dedent(before), mark=True).source.decode()
    assert "# TODO(jaeger2otlp): JO401 not rewritten: OpenTelemetry has no binary" in result
    assert run(result, mark=True).source.decode() == result


def test_a_dict_of_pairs_is_lower_cased_as_a_dict() -> None:
    result = run(
        "import opentracing\n\n\ndef f(context):\n"
        "    return opentracing.tracer.extract('text_map', dict(context.invocation_metadata()))\n"
    )
    assert b"in dict(context.invocation_metadata()).items()" in result.source


def test_suppressed_sites_are_left() -> None:
    result = run(WITH_SPAN, suppressed=frozenset({(5, "")}))
    assert b"start_active_span" in result.source
    assert Fate.SUPPRESSED in {finding.fate for finding in result.findings}


def test_a_comment_at_an_argument_suppresses_its_call() -> None:
    call = "opentracing.tracer.start_span(\n    'a',\n    tags={}\n).finish()\n"
    before = f"import opentracing\n\n{call}"
    result = run(before, suppressed=frozenset({(5, "JO202")}))
    assert b"tags={}" in result.source
    assert [(f.code, f.end_line) for f in result.findings if f.fate is Fate.SUPPRESSED] == [
        ("JO202", 6)
    ]


@pytest.mark.parametrize(
    "call",
    [
        'mock.patch("app.views.opentracing.global_tracer")',
        'monkeypatch.setattr("app.views.jaeger_client", None)',
        'importlib.import_module("jaeger_client")',
        'pytest.importorskip("opentracing")',
    ],
)
def test_a_name_that_is_looked_up_at_run_time_is_reported(call: str) -> None:
    assert [finding.code for finding in check_noop(f"{call}\n").findings] == ["JO109"]


def test_select_and_ignore_take_prefixes() -> None:
    assert {f.code for f in run(WITH_SPAN, select=frozenset({"JO3"})).findings} <= {"JO301"}
    assert "JO301" not in {f.code for f in run(WITH_SPAN, ignore=frozenset({"JO3"})).findings}


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b"print 'opentracing'\n", "Python 2"),
        (b"def f(:\n", "syntax error"),
        (b"# coding: no-such\nx\n", "encoding"),
        (b"x = '\xff'\n", "utf-8"),
        (b"x = 1\0\n", "NUL"),
        (b"x = " + b"(" * 3000 + b")" * 3000 + b"\n", "nested"),
        (b"#" * 6_000_000, "generated"),
    ],
    ids=["python2", "syntax", "cookie", "bytes", "nul", "nested", "huge"],
)
def test_what_cannot_be_read_is_refused_with_a_reason(source: bytes, reason: str) -> None:
    from codemods import Options, rewrite

    with pytest.raises(Unreadable, match=reason):
        rewrite(source, path="a.py", module="a", is_package=False, facts={}, options=Options())


def test_needles() -> None:
    assert is_candidate(b"from opentracing import x")
    assert is_candidate(b"def f(t): t.start_active_span('a')")
    assert not is_candidate(b"import os")


def test_it_is_said_where_a_later_run_would_not_find_what_is_left() -> None:
    result = run(
        "from opentracing import Format\n\n\ndef handle(tracer, headers, tags):\n"
        "    parent = tracer.extract(Format.TEXT_MAP, headers)\n"
        "    return tracer.start_span('a', child_of=parent, tags=tags)\n"
    )
    (told,) = [f for f in result.findings if "a later run does not find" in f.advice]
    assert told.construct == "opentracing.Tracer.start_span"


def test_a_method_found_with_getattr_and_called_is_reported() -> None:
    result = run(
        "import opentracing\n\n"
        "with opentracing.tracer.start_span('a') as span:\n"
        "    getattr(span, 'log_kv')({'event': 'x'})\n"
        "    getattr(span, 'finish')()\n"
    )
    assert {"4: opentracing.Span.log_kv", "5: opentracing.Span.finish"} <= set(left(result))


@pytest.mark.parametrize(
    "put",
    ["patch.object(span, 'finish')", "monkeypatch.setattr(span, 'finish', print)",
     "setattr(span, 'finish', print)", "hasattr(span, 'is_debug')"],
)  # fmt: skip
def test_a_legacy_method_that_is_replaced_or_asked_for_by_its_name_is_reported(put: str) -> None:
    result = run(
        "from unittest.mock import patch\nimport opentracing\n\n\ndef test(monkeypatch):\n"
        f"    span = opentracing.tracer.start_span('a')\n    {put}\n    span.finish()\n"
    )
    assert any(one.startswith("7: opentracing.Span.") for one in left(result))
    assert "span.finish()" in result.source.decode()


def test_hasattr_asks_for_the_name_that_opentelemetry_has() -> None:
    text = run(
        "import opentracing\n\ntracer = opentracing.global_tracer()\n"
        "with tracer.start_span('a') as span:\n"
        "    if hasattr(span, 'set_tag') and not hasattr(span, 'mine'):\n"
        "        span.set_tag('a', 1)\n"
        "        setattr(span, 'mine', 1)\n"
        "if hasattr(tracer, 'close'):\n    tracer.close()\n"
    ).source.decode()
    assert "hasattr(span, \"set_attribute\") and not hasattr(span, 'mine')" in text
    assert 'if hasattr(trace.get_tracer_provider(), "shutdown"):' in text
    assert "setattr(span, 'mine', 1)" in text


def test_the_tracer_of_what_may_be_no_span_is_asked_for_with_getattr() -> None:
    text = run(
        "import opentracing\n\n\ndef work(span: opentracing.Span = None):\n"
        "    tracer = getattr(span, 'tracer', None)\n"
        "    if tracer is not None:\n        tracer.start_span('a', child_of=span).finish()\n"
    ).source.decode()
    assert "tracer = trace.get_tracer(__name__) if span is not None else None\n" in text


@pytest.mark.parametrize(
    ("asserted", "becomes"),
    [("assertIsNone(active)", "assertFalse(active.get_span_context().is_valid)"),
     ("assertIsNotNone(active, 'x')", "assertTrue(active.get_span_context().is_valid, 'x')"),
     ("assertTrue(active)", "assertTrue(active.get_span_context().is_valid)")],
)  # fmt: skip
def test_a_test_case_asserts_that_a_span_is_active(asserted: str, becomes: str) -> None:
    source = run(
        "import opentracing\n\n\ndef test(self):\n"
        f"    active = opentracing.tracer.active_span\n    self.{asserted}\n"
    ).source.decode()
    assert f"    self.{becomes}\n" in source


def test_a_key_that_the_module_names_once_is_the_text_behind_it() -> None:
    source = run(
        "import opentracing\n\nERROR, KIND, EVENT = 1, 2, 3\n"
        "ERROR_TAG = 'error'\nKIND_TAG = 'span.kind'\nEVENT_KEY = 'event'\n\n\ndef work():\n"
        "    with opentracing.tracer.start_span('a', tags={KIND_TAG: 'client'}) as span:\n"
        "        span.set_tag(ERROR_TAG, True)\n"
        "        span.log_kv({EVENT_KEY: 'failed', 'n': 1})\n\n\ndef other(span, ERROR_TAG):\n"
        "    span.set_tag(ERROR_TAG, True)\n"
    ).source.decode()
    assert "start_span('a', kind=trace.SpanKind.CLIENT) as span" in source
    assert "        span.set_status(trace.StatusCode.ERROR)\n" in source
    assert "        span.add_event('failed', {'n': 1})\n" in source
    assert "    span.set_attribute(ERROR_TAG, True)\n" in source


def test_a_key_of_another_file_that_is_called_an_error_is_noted() -> None:
    result = run(
        "import opentracing\nfrom names import Tags\n\n"
        "opentracing.tracer.active_span.set_tag(Tags.ERROR, True)\n"
    )
    assert any("If the key is `error`" in one.advice for one in result.findings)


def test_a_key_that_others_pass_is_said_to_be_anything() -> None:
    put = "def put(span, key, value):\n    span.set_tag(key, value)\n"
    result = run(f"import opentracing\n\n\n{put}")
    assert any("If the key can be `error`" in one.advice for one in result.findings)


@pytest.mark.parametrize("put", ["opentracing.Tracer()", "saved"])
def test_a_global_tracer_that_is_put_back_or_off_says_that_the_provider_stays(put: str) -> None:
    result = run(f"import opentracing\n\nsaved = opentracing.tracer\nopentracing.tracer = {put}\n")
    assert any("A provider that was set stays" in one.advice for one in result.findings)


@pytest.mark.parametrize(
    "asked",
    ["mine is opentracing.tracer", "opentracing.global_tracer() == mine",
     "self.assertIs(mine, opentracing.tracer)"],
)  # fmt: skip
def test_what_is_compared_with_the_global_tracer_is_reported(asked: str) -> None:
    result = run(f"import opentracing\n\n\ndef test(self, mine):\n    {asked}\n")
    assert any(one.startswith("5: opentracing.") for one in left(result))
