"""What is looked at: the walk, the byte search, links, folders and files that cannot be read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from migrator.discovery import BLOCK, LARGEST, is_excluded, search, walk


def names(root: Path, **options) -> list[str]:
    return [os.path.relpath(path, root) for path in walk(str(root), **options).files]


def test_empty_folder(tmp_path):
    assert names(tmp_path) == []


def test_only_python_files(tmp_path):
    for name in ("a.py", "b.pyw", "c.txt", "d.pyc", "py"):
        (tmp_path / name).touch()
    assert names(tmp_path) == ["a.py", "b.pyw"]


@pytest.mark.parametrize("folder", [".git", "node_modules", ".venv", "venv", "__pycache__", ".tox"])
def test_folders_that_hold_no_source_are_skipped(tmp_path, folder):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "a.py").touch()
    assert names(tmp_path) == []


def test_virtualenv_of_any_name_is_skipped(tmp_path):
    (tmp_path / "my-env" / "lib").mkdir(parents=True)
    (tmp_path / "my-env" / "pyvenv.cfg").touch()
    (tmp_path / "my-env" / "lib" / "a.py").touch()
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "pattern",
    ["gen", "gen/", "app/gen", "*/gen", "a_pb2.py", "*_pb2.py", "app/gen/*.py", "./app/gen"],
)
def test_exclude_matches_names_and_relative_paths(pattern):
    assert is_excluded(os.path.join("app", "gen", "a_pb2.py"), [pattern])


@pytest.mark.parametrize("pattern", ["ge", "gen.py", "gen/app", "pb2"])
def test_exclude_does_not_match_parts_of_names(pattern):
    assert not is_excluded(os.path.join("app", "gen", "a_pb2.py"), [pattern])


def test_excluded_folder_is_not_entered(tmp_path):
    (tmp_path / "gen").mkdir()
    (tmp_path / "gen" / "a.py").touch()
    (tmp_path / "b.py").touch()
    assert names(tmp_path, exclude=["gen"]) == ["b.py"]


def test_link_to_a_folder_inside_is_found_where_it_is(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.py").touch()
    (tmp_path / "link").symlink_to("real")
    tree = walk(str(tmp_path))
    assert names(tmp_path) == [os.path.join("real", "a.py")]
    assert not tree.problems


def test_link_loop_is_named_and_the_walk_goes_on(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "up.py").symlink_to("up.py")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "parent").symlink_to("..")
    (tmp_path / "a.py").touch()
    tree = walk(str(tmp_path))
    assert names(tmp_path) == ["a.py"]
    assert sorted(Path(p.path).name for p in tree.problems) == ["loop", "up.py"]


def test_link_out_of_the_tree_is_named_and_not_followed(tmp_path):
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    root.mkdir()
    (outside / "a.py").write_text("import opentracing\n")
    (root / "folder").symlink_to(outside)
    (root / "file.py").symlink_to(outside / "a.py")
    (root / "notes.txt").symlink_to(outside)
    tree = walk(str(root))
    assert tree.files == []
    assert {Path(p.path).name for p in tree.problems} == {"folder", "file.py", "notes.txt"}
    assert all(str(outside) in p.message for p in tree.problems)


def test_dangling_link_is_named(tmp_path):
    (tmp_path / "gone.py").symlink_to("nowhere.py")
    (problem,) = walk(str(tmp_path)).problems
    assert "leads nowhere" in problem.message


def test_search_keeps_the_bytes_of_hits_only(tmp_path):
    (tmp_path / "a.py").write_bytes(b"needle")
    (tmp_path / "b.py").write_bytes(b"hay")
    hits = search(walk(str(tmp_path)).files, lambda source: b"needle" in source)
    assert list(hits.sources.values()) == [b"needle"]


def test_huge_file_without_a_needle_is_nothing(tmp_path):
    (tmp_path / "huge.py").write_bytes(b"#" * (LARGEST + 1))
    hits = search(walk(str(tmp_path)).files, lambda source: b"needle" in source)
    assert not hits.sources
    assert not hits.problems


def test_huge_file_with_a_needle_across_two_blocks_is_named(tmp_path):
    text = bytearray(b"#" * (LARGEST + BLOCK))
    text[LARGEST - 2 : LARGEST + 4] = b"needle"
    (tmp_path / "huge.py").write_bytes(text)
    hits = search(walk(str(tmp_path)).files, lambda source: b"needle" in source)
    (problem,) = hits.problems
    assert "too large" in problem.message
    assert not hits.sources


def test_named_pipe_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.py")
    assert names(tmp_path) == []


def test_file_that_became_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.py")
    assert not search([str(tmp_path / "pipe.py")], lambda source: b"needle" in source).sources


def test_file_that_vanishes_is_named():
    hits = search(["/nowhere/a.py"], lambda _: True)
    (problem,) = hits.problems
    assert problem.path == "/nowhere/a.py"
    assert "no such file" in problem.message


CHILD = """
import os, sys
sys.path[:0] = sys.argv[2].split(os.pathsep)
from migrator.discovery import search, walk
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
tree = walk(sys.argv[1])
hits = search(tree.files, lambda _: True)
for problem in (*tree.problems, *hits.problems):
    print(problem.path, problem.message)
print(*hits.sources)
"""


def test_unreadable_file_and_folder_are_named(tmp_path):
    root = tmp_path / "root"
    (root / "closed").mkdir(parents=True)
    (root / "closed" / "b.py").touch()
    (root / "secret.py").touch()
    (root / "open.py").touch()
    for folder in (root, *root.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    (root / "secret.py").chmod(0)
    (root / "closed").chmod(0)
    try:
        result = subprocess.run(
            [sys.executable, "-c", CHILD, str(root), os.pathsep.join(sys.path)],
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        (root / "closed").chmod(0o755)
    assert f"{root / 'secret.py'} no permission to read it" in result.stdout
    assert f"{root / 'closed'} no permission to read it" in result.stdout
    assert result.stdout.splitlines()[-1] == str(root / "open.py")
