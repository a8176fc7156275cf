"""docs/rules is what the rules say."""

from __future__ import annotations

from codemods.pages import FOLDER, pages


def test_pages_are_up_to_date() -> None:
    found = {page.name: page.read_text(encoding="utf-8") for page in FOLDER.glob("*.md")}
    assert found == pages(), "run `python -m codemods.pages`"
