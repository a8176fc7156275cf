"""`jaeger2otlp migrate`: the diff, writing safely, and every kind of bad input."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.migrator.cli import LEGACY, REPORTED, commit, git, run


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "app.py").write_text(LEGACY)
    (tmp_path / "plain.py").write_text("x = 1\n")
    commit(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_nothing_to_do(project):
    result = run("migrate", "plain.py")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "No legacy use in 1 Python file." in result.stderr


def test_diff_is_shown_and_nothing_written(project):
    result = run("migrate", ".")
    assert result.exit_code == 1
    assert "+    with tracer.start_as_current_span('work') as span:" in result.stdout
    assert (project / "app.py").read_text() == LEGACY


def test_diff_is_what_write_does(project):
    diff = run("migrate", ".").stdout_bytes
    run("migrate", "--write", ".")
    written = (project / "app.py").read_bytes()
    git(project, "checkout", "app.py")
    subprocess.run(["git", "apply", "-"], input=diff, check=True)
    assert (project / "app.py").read_bytes() == written


def test_write_and_a_second_run_changes_nothing(project):
    first = run("migrate", "--write", ".")
    assert (first.exit_code, first.stdout) == (0, "rewrote app.py\n")
    text = (project / "app.py").read_text()
    assert "opentracing" not in text
    second = run("migrate", "--write", "--allow-dirty", ".")
    assert second.exit_code == 0
    assert "No legacy use in 2 Python files." in second.stderr
    assert (project / "app.py").read_text() == text


def test_check_says_which_files(project):
    result = run("migrate", "--check", ".")
    assert (result.exit_code, result.stdout) == (1, "would change app.py\n")
    run("migrate", "--write", ".")
    assert run("migrate", "--check", ".").exit_code == 0


def test_sites_left_are_told_and_make_the_status_1(project):
    (project / "odd.py").write_text(REPORTED)
    commit(project)
    result = run("migrate", "--write", ".")
    assert result.exit_code == 1
    assert "odd.py:5:" in result.stderr
    assert "Finish what is left before you deploy" in result.stderr


def test_requirements_that_are_left_do_not_hinder_a_deployment(project):
    (project / "requirements.txt").write_text("jaeger-client\n")
    commit(project)
    result = run("migrate", "--write", ".")
    assert result.exit_code == 1
    assert "Finish what is left" not in result.stderr


def test_colour_only_for_those_who_want_it(project):
    assert "\x1b[" not in run("migrate", ".").stdout
    assert "\x1b[" in run("migrate", ".", env={"FORCE_COLOR": "1"}).stdout
    assert "\x1b[" not in run("migrate", ".", env={"FORCE_COLOR": "1", "NO_COLOR": "1"}).stdout


def test_standard_input_to_standard_output(project):
    result = run("migrate", "--stdin-filename", "new.py", "-", stdin=LEGACY.encode())
    assert result.exit_code == 0
    assert "start_as_current_span" in result.stdout
    assert "1 file: 5 rewritten." in result.stderr
    assert not (project / "new.py").exists()
    assert run("migrate", "--write", "-", stdin=LEGACY.encode()).exit_code == 2


def test_standard_input_as_a_document_and_to_check(project):
    said = run("migrate", "--output-format", "json", "-", stdin=LEGACY.encode()).stdout
    assert json.loads(said)["files"][0]["path"] == "stdin.py"
    result = run("migrate", "--check", "-", stdin=LEGACY.encode())
    assert (result.exit_code, result.stdout) == (1, "would change stdin.py\n")


def test_standard_input_without_legacy_use_comes_out_as_it_went_in(project):
    assert run("migrate", "-", stdin=b"x = 1\r\n").stdout_bytes == b"x = 1\r\n"


def test_suppressed_line_is_left_alone(project):
    text = LEGACY.replace("str(name))", "str(name))  # jaeger2otlp: ignore[JO301]")
    result = run("migrate", "--stdin-filename", "new.py", "-", stdin=text.encode())
    assert "set_tag('name', str(name))  # jaeger2otlp: ignore[JO301]" in result.stdout


def test_suppression_that_holds_nothing_back_is_told(project):
    text = LEGACY.replace(
        "import opentracing\n", "import opentracing\nx = 1  # jaeger2otlp: ignore\n"
    )
    result = run("scan", "--stdin-filename", "new.py", "-", stdin=text.encode())
    assert "suppresses nothing" in result.stdout


def test_settings_from_pyproject(project):
    (project / "pyproject.toml").write_text("[tool.jaeger2otlp]\nexclude = ['app.py']\n")
    assert run("migrate", ".").exit_code == 0


def test_projects_with_different_settings_are_not_run_together(project, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "pyproject.toml").write_text("[tool.jaeger2otlp]\nunsafe = true\n")
    result = run("scan", ".", str(other))
    assert result.exit_code == 2
    assert "run once for each" in result.stderr
    assert run("scan", "--unsafe", ".", str(other)).exit_code == 1  # now they agree


def test_write_and_check_exclude_each_other(project):
    assert run("migrate", "--write", "--check", ".").exit_code == 2


# A module of the project that others use


def test_facts_go_from_module_to_module(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tracing.py").write_text(
        "import opentracing\n\ntracer = opentracing.global_tracer()\n"
    )
    (tmp_path / "app.py").write_text(
        "from tracing import tracer\n\nwith tracer.start_active_span('x') as scope:\n"
        "    scope.span.set_tag('a', 'b')\n"
    )
    result = run("migrate", ".")
    assert "+    span.set_attribute('a', 'b')" in result.stdout
    alone = run("migrate", "app.py")
    assert "+    span.set_attribute('a', 'b')" in alone.stdout
    assert "tracing.py" not in alone.stdout


# Writing safely


def test_dirty_tree_is_refused(project):
    (project / "plain.py").write_text("x = 2\n")
    result = run("migrate", "--write", ".")
    assert result.exit_code == 2
    assert "plain.py" in result.stderr
    assert (project / "app.py").read_text() == LEGACY
    assert run("migrate", "--write", "--allow-dirty", ".").exit_code == 0


def test_folder_without_git_is_refused(tmp_path):
    (tmp_path / "app.py").write_text(LEGACY)
    result = run("migrate", "--write", str(tmp_path))
    assert result.exit_code == 2
    assert "--allow-no-vcs" in result.stderr
    assert (tmp_path / "app.py").read_text() == LEGACY
    assert run("migrate", "--write", "--allow-no-vcs", str(tmp_path)).exit_code == 0


def test_read_only_file_is_named_and_the_others_written(project):
    (project / "other.py").write_text(LEGACY)
    commit(project)
    (project / "app.py").chmod(0o444)
    result = run("migrate", "--write", "--allow-dirty", ".")
    assert result.exit_code == 2
    assert "app.py: not written: it is read-only" in result.stderr
    assert (project / "app.py").read_text() == LEGACY
    assert "opentelemetry" in (project / "other.py").read_text()
    assert "10 legacy sites in 2 files: 5 rewritten, 5 left for you." in result.stderr


def test_folder_that_may_not_be_written_is_told(project, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("migrator.writing.os.replace", refuse)
    result = run("migrate", "--write", "--allow-dirty", ".")
    assert "app.py: not written: no permission to replace it in its folder" in result.stderr


def test_nothing_is_written_while_pyproject_is_broken(project):
    (project / "pyproject.toml").write_text("[tool.jaeger2otlp\n")
    shown = run("migrate", ".")
    assert shown.exit_code == 2
    assert "pyproject.toml" in shown.stderr
    assert "+++ b/app.py" in shown.stdout  # the run went on
    assert run("migrate", "--write", "--allow-dirty", ".").exit_code == 2
    assert (project / "app.py").read_text() == LEGACY


def many_files(folder: Path, count: int) -> None:
    for number in range(count):
        (folder / f"app{number}.py").write_text(LEGACY + f"\n\nNUMBER = {number}\n")
    commit(folder)


def writing(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "migrator", "migrate", "--write", "--allow-dirty", "."]
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def begun(folder: Path) -> bool:
    return any("opentelemetry" in path.read_text() for path in folder.glob("app*.py"))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_stopped_in_the_middle_every_file_is_whole_and_the_next_run_finishes(tmp_path, how):
    many_files(tmp_path, 150)
    process = writing(tmp_path)
    deadline = time.monotonic() + 60
    while not begun(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(how)
    _, errors = process.communicate()
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert b"Traceback" not in errors
    states = set()
    for path in tmp_path.glob("app*.py"):
        text = path.read_text()
        compile(text, str(path), "exec")
        assert text.endswith(f"NUMBER = {path.stem[3:]}\n")
        states.add("opentracing" in text)
    assert False in states
    finished = writing(tmp_path)
    finished.communicate()
    assert finished.returncode == 0
    assert not any("opentracing" in p.read_text() for p in tmp_path.glob("app*.py"))


# Bad input: a message with the path, the run goes on, the status says so, no file is harmed


BAD = {
    "syntax error": b"import opentracing\ndef f(:\n",
    "Python 2": b"import opentracing\nprint 'hello'\n",
    "Python 2 except": b"import opentracing\ntry:\n    pass\nexcept ValueError, e:\n    print e\n",
    "unknown cookie": b"# coding: klingon\nimport opentracing\n",
    "lying cookie": b"# coding: ascii\nimport opentracing\nx = '\xc3\xa9'\n",
    "not UTF-8": b"import opentracing\nx = '\xff\xfe'\n",
    "NUL byte": b"import opentracing\nx = 1\x00\n",
    "UTF-16": "import opentracing\n".encode("utf-16"),
    "nested brackets": b"import opentracing\nx = " + b"[" * 5000 + b"]" * 5000 + b"\n",
    "nested calls": b"import opentracing\nx = " + b"f(" * 3000 + b")" * 3000 + b"\n",
    "conflict markers": b"import opentracing\n<<<<<<< HEAD\nx = 1\n=======\n>>>>>>> other\n",
}


@pytest.mark.parametrize("name", BAD)
def test_file_that_is_no_python_is_named_and_left(project, name):
    bad = project / "bad.py"
    source = BAD[name]
    if name == "UTF-16":
        source = b"opentracing jaeger_client\n" + source
    bad.write_bytes(source)
    commit(project)
    result = run("migrate", "--write", ".")
    assert result.exit_code == 2, result.output
    assert "bad.py: " in result.stderr
    assert bad.read_bytes() == source
    assert "opentelemetry" in (project / "app.py").read_text()  # the run went on


BODY = LEGACY.encode()
ODD = {
    "BOM": b"\xef\xbb\xbf" + BODY,
    "CRLF": BODY.replace(b"\n", b"\r\n"),
    "mixed newlines": BODY.replace(b"\n", b"\r\n", 2),
    "form feed": BODY.replace(b"\n\n\n", b"\n\x0c\n"),
    "latin-1 cookie": b"# coding: latin-1\nNAME = '\xe9'\n" + BODY,
    "no newline at the end": BODY.rstrip(b"\n"),
    "tabs": BODY.replace(b"    ", b"\t"),
    "deep but parseable": BODY + b"x = " + b"(" * 90 + b"1" + b")" * 90 + b"\n",
    "long elif": BODY + b"if 0:\n    pass\n" + b"elif 1:\n    pass\n" * 400,
}


@pytest.mark.parametrize("name", ["nested brackets", "nested calls"])
def test_file_that_is_nested_too_deeply_is_not_said_to_be_of_a_newer_python(project, name):
    (project / "bad.py").write_bytes(BAD[name])
    assert "nested too deeply" in run("migrate", "bad.py").stderr


@pytest.mark.parametrize("name", ODD)
def test_odd_file_is_rewritten_and_the_rest_of_it_kept(project, name):
    odd = project / "odd.py"
    odd.write_bytes(ODD[name])
    commit(project)
    result = run("migrate", "--write", "odd.py")
    after = odd.read_bytes()
    if result.exit_code == 2:  # left as it was, and said so
        assert "odd.py: " in result.stderr
        assert after == ODD[name]
        return
    assert b"start_as_current_span" in after
    compile(after, "odd.py", "exec")
    assert after.startswith(b"\xef\xbb\xbf") == ODD[name].startswith(b"\xef\xbb\xbf")
    if name == "CRLF":
        assert after.count(b"\n") == after.count(b"\r\n")
    if name == "latin-1 cookie":
        assert b"NAME = '\xe9'" in after


@pytest.mark.parametrize("source", [b"", b"\n", b"# opentracing\n"])
def test_empty_file(project, source):
    (project / "empty.py").write_bytes(source)
    assert run("migrate", "empty.py").exit_code == 0


def test_huge_file_is_named_and_left(project):
    (project / "huge.py").write_bytes(BODY + b"#" * 2_100_000)
    result = run("migrate", ".")
    assert result.exit_code == 2
    assert "huge.py: too large" in result.stderr


def test_links_are_named_and_not_written_through(project, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "victim.py"
    outside.write_text(LEGACY)
    (project / "link.py").symlink_to(outside)
    (project / "loop.py").symlink_to("loop.py")
    commit(project)
    result = run("migrate", "--write", ".")
    assert result.exit_code == 2
    assert "link.py: a symbolic link out of the tree" in result.stderr
    assert "loop.py: a symbolic link" in result.stderr
    assert outside.read_text() == LEGACY
    assert "opentelemetry" in (project / "app.py").read_text()
