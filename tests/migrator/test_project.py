"""Module names from paths, and what an import means among a project's modules."""

from __future__ import annotations

import pytest

from migrator.module import module_of
from migrator.project import resolve, root_of


def modules(*paths: str):
    found = [module_of(f"/r/{path}", "/r") for path in paths]
    return {module.name: module for module in found}


@pytest.mark.parametrize(
    ("path", "name", "is_package"),
    [
        ("app.py", "app", False),
        ("app/__init__.py", "app", True),
        ("src/app/tracing.py", "src.app.tracing", False),
        ("__init__.py", "__init__", False),
    ],
)
def test_module_is_named_by_its_path(path, name, is_package):
    module = module_of(f"/r/{path}", "/r")
    assert (module.name, module.is_package) == (name, is_package)


@pytest.mark.parametrize(
    ("importer", "imported", "found"),
    [
        ("main.py", "tracing", "tracing"),
        ("main.py", "json", None),
        ("one/main.py", "tracing", "one.tracing"),
        ("two/main.py", "tracing", "tracing"),
        ("src/app/main.py", "app.tracing", "src.app.tracing"),
        ("tests/test_app.py", "app.tracing", "src.app.tracing"),
        ("src/app/main.py", "src.app.tracing", "src.app.tracing"),
        ("pkg/main.py", "pkg.tracing", "pkg.tracing"),
        ("pkg/main.py", "tracing", "tracing"),
        ("pkg/main.py", "helpers", "pkg.helpers"),
        ("pkg/main.py", "opentracing", None),
        ("script/main.py", "opentracing", "script.opentracing"),
    ],
)
def test_import_means_what_sys_path_would_find(importer, imported, found):
    known = modules(
        "main.py", "tracing.py", "one/main.py", "one/tracing.py", "two/main.py",
        "src/app/__init__.py", "src/app/main.py", "src/app/tracing.py", "tests/test_app.py",
        "pkg/__init__.py", "pkg/main.py", "pkg/tracing.py", "pkg/helpers.py", "pkg/opentracing.py",
        "script/main.py", "script/opentracing.py",
    )  # fmt: skip
    if importer == "script/main.py":
        importer_module = known["script.main"]
    else:
        importer_module = module_of(f"/r/{importer}", "/r")
    assert resolve(imported, importer_module, known) == found


def test_root_is_the_repository_then_the_build_file_then_the_folder(tmp_path):
    inner = tmp_path / "service" / "app"
    inner.mkdir(parents=True)
    assert root_of(str(inner)) == str(inner)
    (tmp_path / "service" / "pyproject.toml").touch()
    assert root_of(str(inner)) == str(tmp_path / "service")
    (tmp_path / ".git").mkdir()
    assert root_of(str(inner)) == str(tmp_path)
