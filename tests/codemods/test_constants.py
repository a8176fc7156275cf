"""Constants become the strings they are; a header's name says who understands it."""

from __future__ import annotations

import pytest

from tests.codemods.helpers import check


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        ("jaeger_client.constants", "TRACE_ID_HEADER", "uber-trace-id"),
        ("opentracing.mocktracer.text_propagator", "field_name_trace_id", "ot-tracer-traceid"),
    ],
)
def test_the_name_of_a_header_says_what_propagators_speak(
    module: str, name: str, value: str
) -> None:
    result = check(
        f"from {module} import {name}\n\nheaders = {{{name}: make()}}\n",
        f'headers = {{"{value}": make()}}\n',
    )
    assert any("traceparent" in finding.advice for finding in result.findings)
