"""The command line as a whole: help, version, exit status, what is imported when."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def jaeger2otlp(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "migrator", *arguments], capture_output=True, text=True, check=False
    )


def test_help_lists_every_command_and_teaches_by_example():
    result = jaeger2otlp("--help")
    assert result.returncode == 0
    for word in ("scan", "migrate", "rules", "explain", "compare", "run", "agent", "Examples"):
        assert word in result.stdout


def test_version_is_the_package_version():
    from migrator import __version__

    assert __version__ in jaeger2otlp("--version").stdout


def test_unknown_command_is_an_error():
    result = jaeger2otlp("fly")
    assert result.returncode == 2
    assert "fly" in result.stderr


def test_misspelt_command_is_named():
    assert "did you mean 'scan'?" in jaeger2otlp("scn").stderr


def test_beginning_of_a_code_gives_the_codes_that_begin_so():
    assert "did you mean JO201, JO202" in jaeger2otlp("explain", "jo20").stderr


def test_no_command_shows_help():
    assert "Commands" in jaeger2otlp().stdout + jaeger2otlp().stderr


def test_reader_that_has_gone_is_no_error():
    with subprocess.Popen(
        [sys.executable, "-m", "migrator", "rules"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full (Linux)")
def test_output_that_cannot_be_written_is_an_error_in_words():
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "migrator", "rules"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert result.returncode == 2
    assert result.stderr == ("Error: the output could not be written: no space left on the disk\n")


def test_working_folder_that_was_deleted_is_an_error_in_words(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    command = 'rmdir "$1" && exec "$0" -m migrator scan .'
    result = subprocess.run(
        ["sh", "-c", command, sys.executable, str(gone)],
        cwd=gone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr.startswith("Error: the working folder is gone")


@pytest.mark.skipif(sys.platform == "darwin", reason="names of files are text there")
@pytest.mark.parametrize("encoding", ["utf-8:strict", "latin-1:strict"])
def test_name_that_is_no_text_comes_out(tmp_path, encoding):
    (tmp_path / os.fsdecode(b"by\xfftes.py")).write_text("import opentracing\n")
    result = subprocess.run(
        [sys.executable, "-m", "migrator", "migrate", "--check", str(tmp_path)],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        check=False,
    )
    assert result.returncode == 1, result.stderr
    assert b"by\xfftes.py" in result.stdout or rb"by\udcfftes.py" in result.stdout


@pytest.mark.parametrize("module", ["grpc", "opentelemetry", "rich", "libcst", "jinja2"])
def test_help_imports_nothing_heavy(module):
    code = (
        "import sys, migrator.__main__ as m\n"
        "m.cli.main(['--help'], standalone_mode=False)\n"
        f"assert {module!r} not in sys.modules"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert result.returncode == 0, result.stderr
