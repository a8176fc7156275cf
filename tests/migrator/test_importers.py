"""The byte search for the importers of a module."""

from __future__ import annotations

import pytest

from migrator import importers
from migrator.module import module_of


def found(tmp_path, target, path, text, words=("tracer",)):
    """Whether a file at `path` with `text` is one that may use `words` of the module `target`."""
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    importer = module_of(str(file), str(tmp_path))
    return importers.search(
        [importer], {module_of(str(tmp_path / target), str(tmp_path)): words}
    ) == {importer.name: text.encode()}


@pytest.mark.parametrize(
    ("target", "path", "text"),
    [
        ("app/mod.py", "app/user.py", "from other import tracer"),
        ("app/mod.py", "app/user.py", "from mod import logger"),
        ("app/mod.py", "web/user.py", "from mod import tracer"),  # from there it is app.mod
        ("one/app/mod.py", "two/user.py", "from app.mod import tracer"),
        ("my-app/mod.py", "web/user.py", "my-app mod tracer"),  # no import can spell it
        ("app/my-mod.py", "app/user.py", "my-mod tracer"),
    ],
)
def test_a_file_without_one_of_the_names_is_left_out(tmp_path, target, path, text):
    assert not found(tmp_path, target, path, text)


@pytest.mark.parametrize(
    ("target", "path", "text"),
    [
        ("app/mod.py", "app/user.py", "from mod import tracer"),
        ("app/mod.py", "app/deep/er/user.py", "from mod import tracer"),
        ("app/mod.py", "web/user.py", "from app.mod import tracer"),
        ("app/mod.py", "user.py", "from app import mod\nmod.tracer"),
        ("app/__init__.py", "app/user.py", "from . import tracer"),
        ("app/__init__.py", "web/user.py", "from app import tracer"),
        ("one/app/mod.py", "two/user.py", "from one.app.mod import tracer"),
        ("my-app/one/mod.py", "my-app/two/user.py", "from one.mod import tracer"),
        ("mod.py", "any/user.py", "from mod import tracer"),
    ],
)
def test_a_file_that_spells_the_import_is_found(tmp_path, target, path, text):
    assert found(tmp_path, target, path, text)


def test_a_source_folder_need_not_be_spelled(tmp_path):
    assert found(tmp_path, "src/app/mod.py", "tests/user.py", "from app.mod import tracer")


def test_a_source_folder_that_is_a_package_is_spelled(tmp_path):
    assert found(tmp_path, "src/__init__.py", "web/user.py", "from src import tracer")
    assert not found(tmp_path, "src/__init__.py", "web/user.py", "from app import tracer")


def test_files_with_a_needle_in_the_name_are_read_already(tmp_path):
    assert not found(tmp_path, "app/jaeger_setup.py", "app/user.py", "from jaeger_setup: tracer")


def test_a_file_that_cannot_be_read_is_left_out(tmp_path):
    gone = module_of(str(tmp_path / "gone.py"), str(tmp_path))
    target = module_of(str(tmp_path / "mod.py"), str(tmp_path))
    assert importers.search([gone], {target: ["tracer"]}) == {}
