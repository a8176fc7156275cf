import re
import subprocess
import sys

from samples.secrets import database
from tests.servers import openbao, postgres


def test_the_secrets_sample_tells_its_story():
    openbao.program()
    postgres.program("postgres")
    ran = subprocess.run(
        [sys.executable, "-m", "samples.secrets"], capture_output=True, text=True, timeout=90
    )
    assert ran.returncode == 0, ran.stderr
    assert "database user number 2" in ran.stdout
    served = re.search(r"(\d+) queries, none failed", ran.stdout)
    assert served
    assert int(served[1]) > 50
    tree = [line.split("  [")[0] for line in ran.stdout.splitlines()]
    start = tree.index("start of shop")
    assert tree[start : start + 4] == [
        "start of shop",
        "├─ login auth/approle",
        "├─ read secret",
        "└─ credentials database",
    ]
    assert "├─ revoke lease database" in tree
    for secret in ("a-key-nobody-should-see", database.PASSWORD, "v-approle"):
        assert secret not in ran.stdout + ran.stderr
