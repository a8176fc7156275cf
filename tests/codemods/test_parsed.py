"""Files are parsed once, and walked again only for new facts."""

from __future__ import annotations

import pytest

from codemods import Fact, Unreadable, parsed
from codemods.parsed import KEPT

SOURCE = b"from app.tracing import tracer\nspan = tracer.start_span('a')\n"
KNOWN = {"app.tracing.tracer": Fact("tracer")}


def walk(source=SOURCE, known=KNOWN, module="app.main"):
    return parsed.parsed(source).flow(module=module, is_package=False, known=known)


def test_the_same_facts_give_the_same_walk():
    assert walk() is walk(known=dict(KNOWN))


@pytest.mark.parametrize("other", [{"known": {}}, {"module": "web.main"}])
def test_other_facts_or_another_name_give_another_walk(other):
    before = walk()
    assert walk(**other) is not before


def test_a_new_fact_is_seen():
    assert not walk(known={}).members
    assert walk().members


def test_the_same_text_is_parsed_once():
    assert parsed.parsed(SOURCE) is parsed.parsed(bytes(bytearray(SOURCE)))


def test_what_is_kept_stays_small():
    large = b"#" * (KEPT - 1)
    assert parsed.parsed(large) is parsed.parsed(large)
    before = parsed.parsed(SOURCE)
    assert parsed.parsed(SOURCE) is before
    parsed.parsed(large)
    assert parsed.parsed(SOURCE) is not before


def test_a_large_file_is_not_kept():
    large = b"#" * (KEPT + 1)
    assert parsed.parsed(large) is not parsed.parsed(large)


def test_what_is_no_python_is_refused_each_time():
    for _ in range(2):
        with pytest.raises(Unreadable):
            parsed.parsed(b"x = (")
