"""`jaeger2otlp compare` as a user runs it: what it takes, what it prints, how it exits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "programs"
COMPARE = (sys.executable, "-m", "migrator", "compare")
TRACED = """
import sys
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
name = sys.argv[1] if sys.argv[1:] else "main"
with provider.get_tracer("t").start_as_current_span(name) as span:
    pass
"""


@pytest.fixture
def traced(tmp_path: Path) -> str:
    """A program of one span whose name is its argument."""
    path = tmp_path / "traced.py"
    path.write_text(TRACED)
    return str(path)


def compare(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMPARE, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200"},
        timeout=100,
    )


def test_equal_programs_exit_0():
    done = compare(str(PROGRAMS / "shop_legacy.py"), str(PROGRAMS / "shop_migrated.py"))
    assert done.returncode == 0, done.stderr
    assert "Equal: 10 spans before, 10 after." in done.stdout


def test_a_difference_exits_1_and_is_shown():
    migrated = f"{sys.executable} {PROGRAMS / 'shop_migrated.py'} kind"
    done = compare(str(PROGRAMS / "shop_legacy.py"), migrated)
    assert done.returncode == 1
    assert "≠ changed-kind: client → internal" in done.stdout
    assert "Different: 10 spans before, 10 after. 1 changed-kind." in done.stdout


def test_an_allowed_difference_exits_0_and_is_still_shown(traced: str):
    done = compare(traced, f"python {traced} other", "--allow", "renamed-spans")
    assert done.returncode == 0
    assert "≈ renamed-span" in done.stdout


def test_semconv_allows_the_new_names_of_attributes(tmp_path: Path):
    sides = []
    for name in ("http.method", "http.request.method"):
        path = tmp_path / f"{name}.py"
        path.write_text(TRACED.replace("pass", f"span.set_attribute({name!r}, 'GET')"))
        sides.append(str(path))
    assert compare(*sides).returncode == 1
    done = compare(*sides, "--semconv")
    assert done.returncode == 0
    assert "semconv-attribute" in done.stdout


def test_what_differs_in_every_run_is_found_by_running_twice(tmp_path: Path):
    script = tmp_path / "ids.py"
    script.write_text(
        TRACED.replace("pass", "import os; span.set_attribute('id[1]', os.urandom(8).hex())")
    )
    once = compare(str(script), str(script))
    assert once.returncode == 1
    assert "--twice finds out" in once.stdout
    done = compare(str(script), str(script), "--twice", "--format", "json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["allowed"]["changed-attribute"] == 1


def test_arguments_after_two_dashes_go_to_both_sides(traced: str):
    done = compare(traced, traced, "--format", "json", "--", "given")
    assert [row["after"]["name"] for row in json.loads(done.stdout)["spans"]] == ["given"]


def test_modules_are_run_with_m(traced: str):
    (Path(traced).parent / "shop.py").write_text(TRACED)  # a name with the letter of -h
    done = compare("-m traced", "-m shop", cwd=Path(traced).parent)
    assert "Equal: 1 spans before, 1 after." in done.stdout, done.stderr


def test_an_unknown_option_is_an_error_not_a_program(traced: str):
    done = compare("--alow", "x", traced, traced)
    assert done.returncode == 2
    assert "No such option" in done.stderr
    assert compare(traced, traced, "--alow", "x").returncode == 2


def test_a_program_that_fails_exits_2_with_its_output(traced: str, tmp_path: Path):
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit('no such table')")
    done = compare(traced, str(broken))
    assert done.returncode == 2
    assert "ended with status 1" in done.stderr
    assert "| no such table" in done.stderr


def test_a_program_that_does_not_end_exits_2_with_advice(traced: str, tmp_path: Path):
    endless = tmp_path / "endless.py"
    endless.write_text("import time\nprint('serving')\ntime.sleep(60)")
    done = compare(traced, str(endless), "--timeout", "2")
    assert done.returncode == 2
    assert "did not end in time. Is it a server?" in done.stderr
    assert "| serving" in done.stderr


def test_programs_that_report_nothing_prove_nothing(tmp_path: Path):
    silent = tmp_path / "silent.py"
    silent.write_text("print('hello')")
    done = compare(str(silent), str(silent))
    assert done.returncode == 2
    assert "nothing is proven" in done.stderr


def test_a_program_that_is_not_there_exits_2(traced: str):
    done = compare(traced, "no-such-program --now")
    assert done.returncode == 2
    assert "cannot start no-such-program" in done.stderr


def test_each_side_has_its_own_interpreter(traced: str, tmp_path: Path):
    other = tmp_path / "python"
    other.write_text(f'#!/bin/sh\nexec {sys.executable} "$@" other\n')
    other.chmod(0o755)
    done = compare(traced, traced, "--after-python", str(other), "--format", "json")
    (row,) = json.loads(done.stdout)["spans"]
    assert (row["before"]["name"], row["after"]["name"]) == ("main", "other")


def test_a_plan_names_services_and_their_driver():
    done = compare(str(PROGRAMS / "calls.toml"))
    assert done.returncode == 0, done.stderr + done.stdout
    assert "server: greet" in done.stdout


def test_a_plan_may_be_used_for_two_other_folders():
    plan = str(PROGRAMS / "calls.toml")
    folder = str(PROGRAMS / "calls_legacy")
    done = compare(folder, folder, "--plan", plan)
    assert done.returncode == 0, done.stderr
    assert "Equal: 2 spans before, 2 after." in done.stdout


def test_folders_without_a_plan_are_an_error_that_says_what_is_missing(tmp_path: Path):
    done = compare(str(tmp_path), str(tmp_path))
    assert done.returncode == 2
    assert "--plan names what to run in it" in done.stderr


def test_a_plan_that_is_not_there_is_named(tmp_path: Path):
    assert "nowhere.toml: no such file" in compare("nowhere.toml", cwd=tmp_path).stderr


def test_a_plan_with_a_mistake_says_which(tmp_path: Path):
    plan = tmp_path / "compare.toml"
    plan.write_text("runs = 'x.py'")
    done = compare(str(plan))
    assert done.returncode == 2
    assert "unknown runs; known:" in done.stderr


def test_a_rule_without_a_reason_is_refused(traced: str, tmp_path: Path):
    rules = tmp_path / "rules.toml"
    rules.write_text('[[allow]]\ndifference = "lost-event"')
    done = compare(traced, traced, "--rules", str(rules))
    assert done.returncode == 2
    assert "needs a `difference` and a `reason`" in done.stderr


def test_a_rule_that_allowed_nothing_is_told(traced: str):
    assert (
        "--allow lost-link allowed nothing"
        in compare(traced, traced, "--allow", "lost-link").stdout
    )


def test_names_lists_every_difference():
    done = compare("--names")
    assert done.returncode == 0
    assert "derived-status" in done.stdout
    assert "(allowed by default)" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_what_was_started(number: signal.Signals, tmp_path: Path):
    script = tmp_path / "endless.py"
    script.write_text("import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(60)")
    process = subprocess.Popen([*COMPARE, str(script), str(script)], cwd=tmp_path)
    child = tmp_path / "pid"
    while not (child.exists() and child.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(30) == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(child.read_text()), 0)
