"""Ids as text: what `span_context_to_string` wrote."""

from __future__ import annotations

import pytest

from tests.codemods.helpers import run

IMPORT = "from jaeger_client.codecs import span_context_to_string\n"


@pytest.mark.parametrize(
    ("parent", "written"),
    [("c.parent_id", "0"), ("None", "0"), ("0", "(0) or 0"), ("above", "(above) or 0")],
)
def test_the_text_of_a_context_keeps_its_form(parent: str, written: str) -> None:
    result = run(
        f"{IMPORT}\n\ndef f(span, above):\n    c = span.context\n"
        f"    return span_context_to_string(c.trace_id, c.span_id, {parent}, flags=c.flags)\n"
    )
    assert result.source.decode().splitlines()[-1].strip() == (
        'return "{:x}:{:x}:{:x}:{:x}".format('
        f"c.trace_id, c.span_id, {written}, c.trace_flags & 1)"
    )


@pytest.mark.parametrize("arguments", ["c.a", "*c", "c.a, c.b, **c", "c.a, c.b, 0, c.d"])
def test_a_text_whose_parts_are_not_written_out_is_reported(arguments: str) -> None:
    body = f"    return span_context_to_string({arguments})\n"
    result = run(f"{IMPORT}\n\ndef f(c):\n{body}")
    assert result.source.decode().endswith(body)
