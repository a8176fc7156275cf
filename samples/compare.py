"""Compares before/ and after/ of every sample, or of those named: `make compare`."""

from __future__ import annotations

import sys
from pathlib import Path

from migrator.compare.comparison import Comparison, compare_recordings
from migrator.compare.plan import from_file
from migrator.compare.programs import CouldNotRun
from migrator.compare.sides import run_plan
from migrator.compare.tree import print_tree

SAMPLES = Path(__file__).parent


def names() -> list[str]:
    """The samples that say how they are compared."""
    return sorted(path.parent.name for path in SAMPLES.glob("*/compare.toml"))


def compare(name: str, *, show: bool = False) -> Comparison:
    """Run one sample before and after; `show` prints the tree.

    Raises:
        CouldNotRun: a side did not start or failed.
    """
    plan = from_file(SAMPLES / name / "compare.toml")
    old, new = run_plan(plan, "every", None, lambda text: None)
    outcome = compare_recordings(old.recording, new.recording, plan.rules)
    if show or not outcome.equal:
        print_tree(outcome, old, new)
    return outcome


def main(wanted: list[str]) -> int:
    failures = 0
    for name in wanted or names():
        try:
            outcome = compare(name)
        except CouldNotRun as error:
            print(f"{name:16} could not run: {error}")
            failures += 1
            continue
        reasons = sorted({d.reason for d in outcome.differences if d.allowed_by.endswith(".toml")})
        verdict = "equal" if outcome.equal else "DIFFERENT"
        spans = f"{len(outcome.before.spans)} and {len(outcome.after.spans)} spans"
        print(f"{name:16} {verdict:10} {spans}{''.join(f'; {reason}' for reason in reasons)}")
        failures += not (outcome.equal and outcome.before.spans)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
