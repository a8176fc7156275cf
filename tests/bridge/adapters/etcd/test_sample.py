import subprocess
import sys

from tests.servers import etcd


def test_the_locks_sample_tells_its_story():
    etcd.program()
    ran = subprocess.run(
        [sys.executable, "-m", "samples.locks"], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    story, _, traces = ran.stdout.partition("The traces")
    assert story.count("took one") == 4
    assert "took one, 7 left" in story
    assert "refused, its fencing token is older" in story
    assert "the leader is anna" in story
    assert story.index("price is now 10 EUR") < story.index("price is now 12 EUR")
    tree = [line.split("  [")[0] for line in traces.splitlines()]
    pick = tree.index("pick")
    assert tree[pick : pick + 5] == [
        "pick",
        "├─ lease grant",
        "├─ lock locks/",
        "├─ take from stock",
        "└─ lease revoke",
    ]
    assert traces.count("etcd watch event") == 2
