"""The page in a real browser: both waterfalls, marks, details on a click, nothing fetched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from migrator.compare.catalogue import CATALOGUE
from migrator.compare.comparison import Comparison, compare_recordings
from migrator.compare.model import Event
from migrator.compare.page import GROUPS, _group, render, write_page
from migrator.compare.sides import SideRun
from tests.migrator.compare.browser import Browser
from tests.migrator.compare.spans import recording, span

EVIL = "<script>document.title='owned'</script><img src=http://example.invalid/x>"


def comparison() -> tuple[Comparison, SideRun, SideRun]:
    before = recording(
        span(
            "order",
            span("pay", attributes={"amount": 5}, kind="client"),
            span("ship", events=[Event("packed", {"note": EVIL}, 0)]),
            span(EVIL),
        )
    )
    after = recording(
        span(
            "order",
            span("pay", attributes={"amount": 6}, kind="client"),
            span("audit", attributes={EVIL: EVIL}),
            span(EVIL),
        )
    )
    sides = [SideRun(n, n, r, 1.0, [], "") for n, r in (("old.py", before), ("new.py", after))]
    return compare_recordings(before, after), sides[0], sides[1]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page(path, *comparison())
    with Browser() as browser:
        browser.open(path)
        yield browser


def texts(page: Browser, selector: str) -> list[str]:
    return page.evaluate(
        f"[...document.querySelectorAll({selector!r})].map(e => e.innerText.trim())"
    )


def test_nothing_is_fetched_and_no_text_becomes_markup(page: Browser):
    assert {address.partition(":")[0] for address in page.requests} == {"file"}
    assert page.evaluate("document.title") == "Different: old.py and new.py"
    assert page.evaluate("document.querySelectorAll('script, img, link').length") == 0
    assert page.problems == []


def test_both_waterfalls_stand_side_by_side(page: Browser):
    left, right = page.evaluate(
        "[...document.querySelectorAll('section details')[1].querySelectorAll('.half')]"
        ".map(e => e.getBoundingClientRect().toJSON())"
    )
    assert left["top"] == right["top"]
    assert left["right"] <= right["left"]
    assert left["width"] == pytest.approx(right["width"], abs=2)


def test_bars_stay_in_their_lanes(page: Browser):
    assert page.evaluate(
        "[...document.querySelectorAll('.bar')].every(b => { const x = b.getBoundingClientRect(),"
        " l = b.parentElement.getBoundingClientRect();"
        " return x.width >= 2 && x.left >= l.left - 1 && x.right <= l.right + 3; })"
    )


def test_differences_are_marked(page: Browser):
    assert texts(page, "details.differs .found .name") == [
        "changed-attribute",
        "extra-span",
        "missing-span",
    ]
    assert texts(page, ".half.gone") == ["not in the old trace", "missing"]


def test_a_click_shows_the_details_and_another_hides_them(page: Browser):
    shown = "document.querySelector('details.differs .inside').checkVisibility()"
    assert page.evaluate(shown) is False
    page.click("details.differs summary")
    assert page.evaluate(shown) is True
    assert "attribute amount\t5\t6\tchanged-attribute" in texts(page, "details[open] tr.differs")
    page.click("details.differs summary")
    assert page.evaluate(shown) is False


def test_only_what_differs(page: Browser):
    visible = "[...document.querySelectorAll('section details')].filter(d => d.checkVisibility())"
    assert page.evaluate(f"{visible}.length") == 5
    page.click("label[for=only]")
    assert page.evaluate(f"{visible}.every(d => d.className === 'differs')") is True
    page.click("label[for=only]")


def test_the_page_can_be_looked_at(page: Browser, tmp_path: Path):
    picture = tmp_path / "page.png"
    page.screenshot(picture)
    assert picture.stat().st_size > 10_000


def test_every_difference_belongs_to_a_field_of_the_details():
    elsewhere = {"missing-span", "extra-span"}
    of_services = {name for name in CATALOGUE if name.endswith("resource")}
    groups = {_group(name) for name in CATALOGUE.keys() - elsewhere - of_services}
    assert groups <= {*GROUPS}


def test_without_a_browser_the_page_still_escapes_everything():
    assert "<script>" not in render(*comparison())
