"""Every sample's `after/` is what the codemod makes of its `before/`, byte for byte.

That both run, and send the same traces, is shown by tests/migrator/compare/test_samples.py.
"""

from __future__ import annotations

import pytest

from samples.regenerate import SAMPLES, migrated, names
from tests.corpus.sites import sites

NO_LEGACY_CODE = {("facade", "billing.py"), ("facade", "main.py"), ("two_services", "main.py")}


def test_there_are_at_least_eight():
    assert len(names()) >= 8


@pytest.mark.parametrize("name", names())
def test_after_is_what_the_codemod_makes_of_before(name):
    files, _ = migrated(name)
    after = {path.name: path.read_bytes() for path in (SAMPLES / name / "after").glob("*.py")}
    assert files == after, "run `make samples`"


@pytest.mark.parametrize("name", names())
def test_before_is_legacy_and_after_is_not(name):
    for before in (SAMPLES / name / "before").glob("*.py"):
        if (name, before.name) not in NO_LEGACY_CODE:
            assert sites(before.read_bytes())
        after = SAMPLES / name / "after" / before.name
        assert sites(after.read_bytes()) == []


def test_every_sample_has_its_line_in_the_readme():
    readme = (SAMPLES / "README.md").read_text()
    assert [name for name in names() if f"| [{name}]({name}) |" not in readme] == []
