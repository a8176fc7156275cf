"""Requirements of legacy distributions are reported, in every file that may name them."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator import manifests
from migrator.analysis import analyse
from migrator.settings import Settings


def found(text: str) -> list[str]:
    return [f"{one.line}:{one.column} {one.construct}" for one in manifests.findings(text)]


@pytest.mark.parametrize(
    "line",
    [
        "# jaeger-client==4.8.0",
        "my-opentracing==1.0",
        "opentracing-contrib-thing>=1",
        "description = the opentracing bridge",
        "jaeger-clients==1",
    ],
)
def test_what_is_no_legacy_requirement(line: str) -> None:
    assert found(line) == []


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("jaeger-client==4.8.0", "jaeger-client"),
        ("jaeger_client", "jaeger-client"),
        ("Flask-OpenTracing>=1.0 ; python_version < '3.9'", "flask-opentracing"),
        ("opentracing[tests] @ https://example.test/x.whl", "opentracing"),
        ('    "opentracing>=2.4,<3",', "opentracing"),
        ('jaeger-client = "^4.3"', "jaeger-client"),
        ("install_requires=['grpcio_opentracing'],", "grpcio-opentracing"),
        ("opentelemetry-exporter-jaeger-thrift~=1.2", "opentelemetry-exporter-jaeger-thrift"),
    ],
)
def test_a_requirement_in_any_notation(line: str, name: str) -> None:
    (one,) = manifests.findings(line)
    assert one.construct == f"{name} (requirement)"
    assert "lock anew" in one.advice


def test_two_in_one_line() -> None:
    line = "tracing = ['opentracing', 'jaeger-client']"
    assert found(line) == ["1:13 opentracing (requirement)", "1:28 jaeger-client (requirement)"]


@pytest.mark.parametrize(
    "text",
    [
        '[project]\nname = "flask-opentracing"\nkeywords = [\n    "opentracing",\n]\n',
        '[tool.poetry]\nname = "opentracing"\ndescription = "opentracing"\n',
        "[metadata]\nname = jaeger-client\nkeywords =\n    opentracing\n    jaeger\n",
        "name: opentracing\n",
    ],
)
def test_what_a_project_says_of_itself_is_no_requirement(text: str) -> None:
    assert found(text) == []


def test_requirements_follow_what_a_project_says_of_itself() -> None:
    text = (
        '[project]\nname = "x"\nkeywords = ["opentracing"]\ndependencies = [\n  "opentracing",\n]\n'
    )
    assert found(text) == ["5:4 opentracing (requirement)"]


SETUP = """\
from setuptools import setup

NAME = "flask-opentracing"
base = ["jaeger-client>=4"]
base.append("opentracing")
def more():
    return ["basictracer"]
extras = {"tests": ["grpcio-opentracing"]}
setup(
    name="flask_opentracing",
    keywords=["opentracing", "jaeger"],
    packages=["opentracing"],
    install_requires=base + more() + ['redis-opentracing'],
    extras_require=extras,
    **{"tests_require": "sanic-opentracing"},
)
"""


def test_only_what_feeds_the_requirements_of_a_setup_py() -> None:
    lines = [finding.line for finding in manifests.findings(SETUP, "lib/setup.py")]
    assert lines == [4, 5, 7, 8, 13, 15]


@pytest.mark.parametrize(
    "name",
    [
        "requirements.txt",
        "requirements/dev-requirements.in",
        "setup.cfg",
        "pyproject.toml",
        "Pipfile",
    ],
)
def test_the_files_of_a_repository(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("jaeger-client\n")
    (tmp_path / "README.txt").write_text("jaeger-client\n")
    assert list(analyse([str(tmp_path)], Settings()).findings) == [str(path)]


def test_setup_py_is_both_a_manifest_and_python(tmp_path: Path) -> None:
    path = tmp_path / "setup.py"
    path.write_text(
        "import opentracing\n\nsetup(install_requires=['opentracing'])\nopentracing.x\n"
    )
    codes = [finding.code for finding in analyse([str(tmp_path)], Settings()).findings[str(path)]]
    assert codes[0] == manifests.CODE
    assert len(codes) > 1


def test_it_can_be_ignored(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("jaeger-client\n")
    settings = Settings(ignore=(manifests.CODE,))
    assert not analyse([str(tmp_path)], settings).findings
