"""`jaeger2otlp scan`: what it finds, how it says it, and its exit status."""

from __future__ import annotations

import json
import os

import pytest

from tests.migrator.cli import LEGACY, REPORTED, run


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "app.py").write_text(LEGACY)
    (tmp_path / "plain.py").write_text("x = 1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_nothing_legacy(tmp_path):
    (tmp_path / "plain.py").write_text("tracer = 1\n")
    result = run("scan", str(tmp_path))
    assert result.exit_code == 0
    assert "No legacy use in 1 Python file." in result.stdout


def test_word_in_a_comment_is_no_legacy_use(tmp_path):
    (tmp_path / "plain.py").write_text("# once opentracing, jaeger_client\nx = 1\n")
    assert run("scan", str(tmp_path)).exit_code == 0


def test_function_of_the_project_with_a_legacy_name_is_no_legacy_use(tmp_path):
    text = "def start_active_span(x):\n    return x\n\n\nwith start_active_span(1):\n    pass\n"
    (tmp_path / "plain.py").write_text(text)
    assert run("scan", str(tmp_path)).exit_code == 0


def test_finds_by_library_construct_and_file(project):
    result = run("scan", ".")
    assert result.exit_code == 1
    for word in ("library", "opentracing", "construct", "start_active_span", "file", "app.py"):
        assert word in result.stdout
    assert "rewritten" in result.stdout


def test_reported_site_has_its_reason_and_recipe(project):
    (project / "odd.py").write_text(REPORTED)
    result = run("scan", ".")
    assert "odd.py:5:" in result.stdout
    assert "Left for you, and why:" in result.stdout


def test_statistics_count_by_rule(project):
    result = run("scan", "--statistics", ".")
    assert "JO201 start_active_span" in result.stdout


def test_statistics_of_nothing_say_so(project):
    assert run("scan", "--statistics", "plain.py").stdout == "No legacy use in 1 Python file.\n"


def test_several_folders_are_told_apart(project):
    for folder, text in (("shop", LEGACY), ("done", "x = 1\n")):
        (project / folder).mkdir()
        (project / folder / "app.py").write_text(text)
    for options in ([], ["--statistics"]):
        rows = [line.split() for line in run("scan", *options, "done", "shop").stdout.splitlines()]
        assert ["folder", "sites", "rewritten"] in rows
        assert rows.index(["shop", "5", "5"]) < rows.index(["done", "0", "0"])
    files = run("scan", "shop/app.py", "done/app.py").stdout
    assert "folder" not in files  # they have a table already


def test_requirements_named_by_the_user_are_not_read_as_python(project):
    (project / "requirements.txt").write_text("flask>=2\njaeger-client==4.8.0\n")
    result = run("scan", "requirements.txt")
    assert (result.exit_code, result.stderr.count("error:")) == (1, 0)
    assert "requirements.txt:2:1: JO010" in result.stdout


def test_json_holds_findings_and_diffs(project):
    document = json.loads(run("scan", "--output-format", "json", ".").stdout)
    (file,) = document["files"]
    assert file["path"] == "app.py"
    assert file["changed"]
    assert file["diff"].startswith("--- a/app.py\n+++ b/app.py\n")
    assert {finding["fate"] for finding in file["findings"]} == {"rewritten"}
    assert document["summary"]["searched"] == 2


def test_github_annotations(project):
    result = run("scan", "--output-format", "github", ".")
    assert "::notice title=jaeger2otlp (JO201),file=app.py,line=5,col=" in result.stdout


def test_standard_input(project):
    result = run("scan", "--stdin-filename", "other.py", "-", stdin=LEGACY.encode())
    assert result.exit_code == 1
    assert "other.py" in result.stdout


def test_select_and_ignore(project):
    only = json.loads(run("scan", "--select", "JO201", "--output-format", "json", ".").stdout)
    fates = {f["code"]: f["fate"] for file in only["files"] for f in file["findings"]}
    assert fates.get("JO201") == "rewritten"
    assert fates.get("JO301") != "rewritten"


def test_unknown_code_is_an_error(project):
    result = run("scan", "--select", "XX", ".")
    assert result.exit_code == 2
    assert "XX" in result.stderr


def test_exclude(project):
    assert run("scan", "--exclude", "app.py", ".").exit_code == 0


def test_what_git_ignores_is_left_out(project):
    from tests.migrator.cli import git

    git(project, "init", "-q")
    (project / "build").mkdir()
    (project / "build" / "gen.py").write_text(LEGACY)
    (project / ".gitignore").write_text("build/\n")
    assert "gen.py" not in run("scan", ".").stdout
    assert "gen.py" in run("scan", "build").stdout  # asked for by name


def test_path_that_does_not_exist_is_an_error_and_the_run_goes_on(project):
    result = run("scan", "nowhere", ".")
    assert result.exit_code == 2
    assert "nowhere: no such file or folder" in result.stderr
    assert "No legacy use" not in run("scan", "nowhere").stdout
    assert "app.py" in result.stdout


def test_path_that_is_no_file_and_no_folder_is_an_error(project):
    os.mkfifo("pipe.py")
    result = run("scan", "pipe.py")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "pipe.py: neither a file nor a folder" in result.stderr


def test_name_for_standard_input_without_it_is_an_error(project):
    result = run("scan", "--stdin-filename", "app.py", ".")
    assert result.exit_code == 2
    assert "goes with the path `-`" in result.stderr


def test_no_path_is_an_error_that_says_what_to_do(project):
    result = run("scan")
    assert result.exit_code == 2
    assert "`.` is the folder you are in" in result.stderr


def test_timings_by_phase_and_rule(project):
    told = run("scan", "--timings", ".").stderr
    assert "discover" in told
    assert "JO201" in told
