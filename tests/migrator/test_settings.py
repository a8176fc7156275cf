"""Command line over pyproject.toml over defaults; a broken file is named and not used."""

from __future__ import annotations

import pytest

from migrator.exits import Failure
from migrator.settings import DEFAULTS, load


def settings(tmp_path, text: str | bytes, **chosen):
    content = text if isinstance(text, bytes) else text.encode()
    (tmp_path / "pyproject.toml").write_bytes(content)
    return load(str(tmp_path), chosen)


def test_no_file(tmp_path):
    assert load(str(tmp_path), {}) == (DEFAULTS, None)


def test_file_without_our_table(tmp_path):
    assert settings(tmp_path, "[tool.other]\nx = 1\n") == (DEFAULTS, None)


def test_every_kind_of_value(tmp_path):
    text = """\
        [tool.jaeger2otlp]
        exclude = ["gen"]
        unsafe = true
        protocol = "http"
        endpoint-from-env = true
        jobs = 2
        """
    found, problem = settings(tmp_path, text)
    assert problem is None
    assert (found.exclude, found.unsafe, found.protocol) == (("gen",), True, "http")
    assert (found.endpoint_from_env, found.jobs) == (True, 2)


def test_file_counts_from_a_folder_below(tmp_path):
    settings(tmp_path, "[tool.jaeger2otlp]\nunsafe = true\n")
    (tmp_path / "app").mkdir()
    assert load(str(tmp_path / "app"), {})[0].unsafe


def test_codes_may_be_in_small_letters(tmp_path):
    found, problem = settings(tmp_path, "[tool.jaeger2otlp]\nselect = ['jo2']\n")
    assert (found.select, problem) == (("JO2",), None)


def test_command_line_wins(tmp_path):
    text = "[tool.jaeger2otlp]\nunsafe = true\nprotocol = 'http'\n"
    found, _ = settings(tmp_path, text, unsafe=False, protocol=None)
    assert (found.unsafe, found.protocol) == (False, "http")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool.jaeger2otlp\n", "pyproject"),
        (b"\xff\xfe", "not UTF-8, as TOML must be; its settings were not used"),
        ("[tool.jaeger2otlp]\nunsave = true\n", "has no setting `unsave`, but `unsafe`"),
        ("[tool.jaeger2otlp]\nqqq = true\n", "it has select"),
        ("[tool.jaeger2otlp]\nunsafe = 'yes'\n", "true or false"),
        ("[tool.jaeger2otlp]\nexclude = 'gen'\n", "list of strings"),
        ("[tool.jaeger2otlp]\nprotocol = 'udp'\n", "one of grpc, http"),
        ("[tool.jaeger2otlp]\njobs = 0\n", "number from 1"),
        ("[tool.jaeger2otlp]\nselect = ['XX']\n", "no rule's code begins with 'XX'"),
        ("tool = 1\n", "`tool.jaeger2otlp` must be a table"),
        ("tool = { jaeger2otlp = 1 }\n", "`tool.jaeger2otlp` must be a table"),
    ],
)
def test_broken_file_is_named_and_not_used(tmp_path, text, said):
    found, problem = settings(tmp_path, text)
    assert found == DEFAULTS
    assert said in f"{problem.path} {problem.message}"


def test_unknown_code_on_the_command_line_is_an_error(tmp_path):
    with pytest.raises(Failure, match="XX1"):
        load(str(tmp_path), {"select": ("XX1",)})
