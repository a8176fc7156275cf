"""What git is asked: what it ignores, and what a rewrite would put at risk."""

from __future__ import annotations

import subprocess

import pytest

from migrator.exits import Failure
from migrator.vcs import ignored, refuse_risk, repository_of


def git(folder, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True
    )


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "-q")
    (root / "app.py").write_text("1\n")
    (root / ".gitignore").write_text("build/\n*_pb2.py\n")
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    return root


def refuse(*paths, dirty: bool = False, no_vcs: bool = False) -> None:
    refuse_risk([str(path) for path in paths], allow_dirty=dirty, allow_no_vcs=no_vcs)


def test_repository_is_found_from_below(repository):
    (repository / "a" / "b").mkdir(parents=True)
    assert repository_of(str(repository / "a" / "b")) == str(repository)


def test_no_repository(tmp_path):
    assert repository_of(str(tmp_path)) is None
    assert ignored([str(tmp_path / "a.py")]) == set()


def test_ignored_files_are_known_and_tracked_ones_never_ignored(repository):
    (repository / "build").mkdir()
    paths = {str(repository / name) for name in ("app.py", "build/a.py", "x_pb2.py")}
    assert ignored(paths) == paths - {str(repository / "app.py")}
    (repository / "kept_pb2.py").touch()
    git(repository, "add", "-f", "kept_pb2.py")
    assert ignored([str(repository / "kept_pb2.py")]) == set()


def test_names_that_need_quoting(repository):
    odd = repository / 'naïve "x"\n_pb2.py'
    odd.touch()
    assert ignored([str(odd)]) == {str(odd)}


def test_a_repository_inside_a_repository_answers_for_itself(repository):
    inner = repository / "vendored"
    inner.mkdir()
    git(inner, "init", "-q")
    (inner / ".gitignore").write_text("gen.py\n")
    paths = [str(inner / "gen.py"), str(inner / "a_pb2.py")]
    assert ignored(paths) == {paths[0]}


def test_clean_tree_may_be_written(repository):
    refuse(repository / "app.py")


def test_nothing_to_write_is_never_refused(tmp_path):
    refuse()


def test_dirty_tree_is_refused_and_the_file_named(repository):
    (repository / "app.py").write_text("2\n")
    with pytest.raises(Failure, match=r"--allow-dirty:\n  app\.py"):
        refuse(repository / "app.py")
    refuse(repository / "app.py", dirty=True)


def test_staged_change_is_refused(repository):
    (repository / "app.py").write_text("2\n")
    git(repository, "add", ".")
    with pytest.raises(Failure, match="not committed"):
        refuse(repository / "app.py")


def test_untracked_file_matters_only_if_it_is_to_be_written(repository):
    (repository / "new.py").touch()
    refuse(repository / "app.py")
    with pytest.raises(Failure, match=r"new\.py"):
        refuse(repository / "app.py", repository / "new.py")


def test_file_outside_of_git_is_refused(tmp_path):
    with pytest.raises(Failure, match="--allow-no-vcs"):
        refuse(tmp_path / "a.py")
    refuse(tmp_path / "a.py", no_vcs=True)


def test_repository_that_git_refuses_is_refused(repository):
    (repository / ".git" / "HEAD").write_text("nonsense")
    with pytest.raises(Failure, match="git cannot tell"):
        refuse(repository / "app.py")
