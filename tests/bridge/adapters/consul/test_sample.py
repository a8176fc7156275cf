import subprocess
import sys

from tests.servers import consul
from tests.servers.process import find_program


def test_the_discovery_sample_tells_its_story():
    find_program("consul", install=consul.INSTALL)
    ran = subprocess.run(
        [sys.executable, "-m", "samples.discovery"], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    assert "shop 2.1 says 'Hello'" in ran.stdout
    assert "shop 2.1 says 'Good evening'" in ran.stdout
    assert "no healthy shop" in ran.stdout
    tree = [line.split("  [")[0] for line in ran.stdout.split("The traces")[1].splitlines()]
    request = tree.index("checkout")
    assert tree[request : request + 4] == [
        "checkout",
        "├─ discover shop",
        "└─ GET",
        "   └─ GET /greet",
    ]
    assert "└─ health check database" in tree
    assert "deregister" in tree
