"""A file is old or new, never half, whatever happens in between."""

from __future__ import annotations

import os
import random
import resource
import signal
import stat
import subprocess
import sys
import time

import pytest

from migrator.writing import SUFFIX, Unwritable, replace_content

OLD = b"old\r\n" * 40_000
NEW = b"new\r\n" * 50_000


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "app.py"
    path.write_bytes(OLD)
    return path


def leftovers(folder) -> list[str]:
    return [name for name in os.listdir(folder) if name.endswith(SUFFIX)]


def test_content_is_replaced_byte_for_byte(file):
    replace_content(str(file), OLD, NEW)
    assert file.read_bytes() == NEW
    assert not leftovers(file.parent)


def test_mode_is_kept(file):
    file.chmod(0o751)
    replace_content(str(file), OLD, NEW)
    assert stat.S_IMODE(file.stat().st_mode) == 0o751


def test_link_stays_a_link(file):
    link = file.with_name("link.py")
    link.symlink_to(file)
    replace_content(str(link), OLD, NEW)
    assert link.is_symlink()
    assert file.read_bytes() == NEW


def test_read_only_file_is_refused(file):
    file.chmod(0o444)
    with pytest.raises(Unwritable, match="read-only"):
        replace_content(str(file), OLD, NEW)
    assert file.read_bytes() == OLD


def test_file_that_changed_meanwhile_is_refused(file):
    file.write_bytes(b"someone's work")
    with pytest.raises(Unwritable, match="changed while we worked"):
        replace_content(str(file), OLD, NEW)
    assert file.read_bytes() == b"someone's work"


def test_file_that_vanished_is_an_error(file):
    file.unlink()
    with pytest.raises(FileNotFoundError):
        replace_content(str(file), OLD, NEW)


def test_name_of_greatest_length(tmp_path):
    path = tmp_path / ("n" * 252 + ".py")
    path.write_bytes(OLD)
    replace_content(str(path), OLD, NEW)
    assert path.read_bytes() == NEW


def test_leftover_of_a_killed_run_is_cleared(file):
    (file.parent / f".app.py{SUFFIX}").write_bytes(b"half")
    replace_content(str(file), OLD, NEW)
    assert not leftovers(file.parent)


def test_limit_on_file_size_leaves_the_old_file(file):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    code = (
        "import sys; from tests.migrator.test_writing import *\n"
        "replace_content(sys.argv[1], OLD, NEW)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(file)], preexec_fn=limit, capture_output=True, check=False
    )
    assert b"OSError" in result.stderr
    assert file.read_bytes() == OLD
    assert not leftovers(file.parent)


def test_full_disk_leaves_the_old_file(tmp_path):
    mounted = tmp_path / "disk"
    mounted.mkdir()
    code = (
        "import sys; from tests.migrator.test_writing import *\n"
        "path = sys.argv[1] + '/app.py'\n"
        "open(path, 'wb').write(OLD)\n"
        "try:\n"
        "    replace_content(path, OLD, NEW)\n"
        "except OSError as error:\n"
        "    print(error.errno, open(path, 'rb').read() == OLD, leftovers(sys.argv[1]))\n"
    )
    script = (
        f'mount -t tmpfs -o size=400k none {mounted} && exec {sys.executable} -c "$0" {mounted}'
    )
    result = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", script, code],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode and "Error" not in result.stderr:
        pytest.skip(f"no mount namespace here: {result.stderr.strip()}")
    assert result.stdout.strip() == "28 True []", result.stderr


KILLED = """
import sys
from tests.migrator.test_writing import NEW, OLD, replace_content
print("ready", flush=True)
while True:
    replace_content(sys.argv[1], OLD, NEW)
    replace_content(sys.argv[1], NEW, OLD)
"""


def test_kill_9_at_any_moment_leaves_old_or_new(file):
    seen = set()
    for seed in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(file)], stdout=subprocess.PIPE
        )
        assert process.stdout.readline() == b"ready\n"
        time.sleep(random.Random(seed).uniform(0.0, 0.05))
        process.kill()
        process.wait()
        process.stdout.close()
        content = file.read_bytes()
        assert content in (OLD, NEW)
        seen.add(content)
        file.write_bytes(OLD)
    assert seen
