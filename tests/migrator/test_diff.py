"""Diffs that `git apply` takes, byte for byte."""

from __future__ import annotations

import subprocess
import sys

import pytest

from migrator.diff import shown, style_of, unified

NUMBERS = b"".join(b"%d\n" % n for n in range(100))


def test_no_change_is_no_diff():
    assert unified("a.py", b"x\n", b"x\n") == b""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (NUMBERS, NUMBERS.replace(b"\n50\n", b"\nfifty\n")),
        (NUMBERS, NUMBERS.replace(b"\n3\n", b"\n3\n3.5\n").replace(b"90\n", b"")),
        (b"a\r\nb\r\n", b"a\r\nc\r\n"),
        (b"a\nb", b"a\nc"),
        (b"a\nb", b"a\nb\n"),
        (b"\xff latin\n", b"\xfe latin\n"),
        (b"a\x0cb\x0bc\n1\n", b"a\x0cb\x0bc\n2\n"),
        (b"\xef\xbb\xbfa\n", b"\xef\xbb\xbfb\n"),
    ],
    ids=["middle", "two hunks", "crlf", "no newline", "newline added", "latin-1", "feeds", "bom"],
)
def test_git_applies_it(tmp_path, monkeypatch, old, new):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_bytes(old)
    diff = unified("a.py", old, new)
    subprocess.run(["git", "apply", "--unsafe-paths", "-"], input=diff, check=True)
    assert (tmp_path / "a.py").read_bytes() == new


@pytest.mark.skipif(sys.platform == "win32", reason="such names cannot be there")
@pytest.mark.parametrize(
    "name", ["new\nline.py", "esc\x1b[31m.py", 'q"\t\\.py', "sp ace.py", "ü.py"]
)
def test_git_applies_it_to_files_with_odd_names(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(b"a\n")
    subprocess.run(["git", "apply", "-"], input=unified(name, b"a\n", b"b\n"), check=True)
    assert (tmp_path / name).read_bytes() == b"b\n"


def test_a_name_does_not_break_the_line_that_tells_it():
    assert shown("new\nline\x1b[31m.py") == r"new\nline\x1b[31m.py"


def test_a_file_elsewhere_is_named_from_the_root():
    assert unified("/elsewhere/a.py", b"x\n", b"y\n").startswith(b"--- a/elsewhere/a.py\n")


def test_lines_have_colours():
    assert [style_of(line) for line in (b"+x", b"-x", b"@@ ", b" x", b"--- a")] == [
        "green",
        "red",
        "cyan",
        "",
        "bold",
    ]
