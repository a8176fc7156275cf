"""A tracer that only hands on what it was given does so after the rewrite too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import propagate
from opentelemetry.trace import format_trace_id

from tests.codemods.helpers import check, run

BEFORE = """\
from jaeger_client import ProbabilisticSampler, Tracer
from jaeger_client.codecs import B3Codec
from jaeger_client.reporter import {reporter}
from opentracing.ext import tags
from opentracing.propagation import Format

tracer = Tracer("page", {reporter}(), ProbabilisticSampler(0.5), one_span_per_rpc={shares},
                extra_codecs={{Format.HTTP_HEADERS: B3Codec()}})


def forward(headers):
    span = tracer.start_span("op", child_of=tracer.extract(Format.HTTP_HEADERS, headers),
                             tags={{tags.SPAN_KIND: tags.SPAN_KIND_RPC_SERVER}})
    carrier = {{}}
    tracer.inject(span.context, Format.HTTP_HEADERS, carrier)
    return carrier
"""
HEADERS = {"X-B3-TraceId": "a" * 16, "X-B3-SpanId": "b" * 16, "X-B3-Sampled": "1"}


@pytest.fixture(autouse=True)
def propagator() -> Iterator[None]:
    before = propagate.get_global_textmap()
    yield
    propagate.set_global_textmap(before)


def forwarded(source: bytes | str) -> dict[str, str]:
    """What the program sends on, with names in lower case."""
    names: dict[str, object] = {"__name__": "page"}
    exec(compile(source, "page.py", "exec"), names)
    return {key.lower(): value for key, value in names["forward"](HEADERS).items()}  # type: ignore[operator]


def test_the_callers_ids_are_sent_on_as_before() -> None:
    pytest.importorskip("jaeger_client")
    before = BEFORE.format(reporter="NullReporter", shares=True)
    old, new = forwarded(before), forwarded(run(before).source)
    assert new["x-b3-spanid"] == old["x-b3-spanid"] == "b" * 16
    assert new["x-b3-traceid"] == format_trace_id(int(old["x-b3-traceid"], 16))  # 128 bits now
    assert new["x-b3-sampled"] == old["x-b3-sampled"]


def test_the_finding_says_what_differs() -> None:
    result = run(BEFORE.format(reporter="NullReporter", shares=True))
    made = next(one for one in result.findings if "handed on as it came" in one.message)
    assert "1.40" in made.advice
    assert "128 bits" in made.advice


def test_it_needs_no_sampler_and_no_resource() -> None:
    check(
        """\
        from jaeger_client import ProbabilisticSampler, Tracer
        from jaeger_client.reporter import NullReporter

        tracer = Tracer("page", NullReporter(), ProbabilisticSampler(0.5), one_span_per_rpc=True)
        """,
        """\
        from opentelemetry.trace import NoOpTracerProvider

        provider = NoOpTracerProvider()
        tracer = provider.get_tracer(__name__)
        """,
    )


def test_with_a_reporter_client_and_server_each_have_their_span() -> None:
    result = run(BEFORE.format(reporter="InMemoryReporter", shares=True))
    assert b"NoOp" not in result.source
    assert any("each have their span" in one.message for one in result.findings)


def test_without_one_span_per_rpc_there_are_new_ids_as_there_were() -> None:
    result = run(BEFORE.format(reporter="NullReporter", shares=False))
    assert b"NoOp" not in result.source


def test_a_handler_that_leaves_where_a_header_is_corrupted_is_noted() -> None:
    result = run(
        "import opentracing\n\n\ndef work(tracer: opentracing.Tracer, headers):\n    try:\n"
        "        parent = tracer.extract(opentracing.Format.TEXT_MAP, headers)\n"
        "    except opentracing.SpanContextCorruptedException:\n        return\n"
        "    tracer.start_span('work', child_of=parent).finish()\n"
    )
    assert any("where the handler left" in finding.advice for finding in result.findings)
