"""Every idiom of docs/coverage.md meets the fate the page says, and the page is up to date."""

from __future__ import annotations

import pytest

from tests.codemods.helpers import run
from tests.codemods.idioms import IDIOMS, PAGE, Idiom, outcome, source, table

CASES = [pytest.param(idiom, id=f"{idiom.number}-{i}") for i, idiom in enumerate(IDIOMS)]


@pytest.mark.parametrize("idiom", CASES)
def test_idiom(idiom: Idiom) -> None:
    text = source(idiom)
    result = run(text, unsafe=idiom.fate == "held").source.decode()
    assert idiom.shows in result
    assert outcome(idiom)[0] == idiom.fate
    compile(result, "after.py", "exec")
    assert run(result, unsafe=idiom.fate == "held").source.decode() == result


def test_page_is_up_to_date() -> None:
    assert table() in PAGE.read_text(encoding="utf-8"), "run `python -m tests.codemods.idioms`"
