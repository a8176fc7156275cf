"""`make demo`: migrate the samples, show one diff, run the result, show the spans it produced.

Works in a temporary folder and on loopback only; Ctrl-C leaves nothing behind.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from migrator.compare.comparison import compare_recordings
from migrator.compare.model import Recording, Span
from migrator.compare.plan import Side
from migrator.compare.programs import Program
from migrator.compare.sides import run_side
from migrator.exits import INTERRUPTED
from samples.regenerate import SAMPLES, names

SHOWN = "first_span"
RUN = ("first_span", "two_services")

console = Console(highlight=False)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="jaeger2otlp-demo-") as temporary:
        folder = Path(temporary)
        _copy(folder)
        _step("Legacy programs, and what is in them", "scan --statistics .")
        _jaeger2otlp(folder, "scan", "--statistics", ".")
        _step(f"What happens to one of them, {SHOWN}", f"migrate {SHOWN}")
        _jaeger2otlp(folder, "migrate", SHOWN)
        _step("All of them rewritten", "migrate --write --allow-no-vcs .")
        _jaeger2otlp(folder, "migrate", "--write", "--allow-no-vcs", ".")
        for name in RUN:
            _step(f"{name} run, now on OpenTelemetry: the spans it sent over OTLP", "")
            _run(folder, name)


def _copy(folder: Path) -> None:
    for name in names():
        shutil.copytree(
            SAMPLES / name / "before", folder / name, ignore=shutil.ignore_patterns("__pycache__")
        )


def _step(title: str, command: str) -> None:
    console.rule(Text(title, style="bold"), align="left")
    if command:
        console.print(Text(f"$ jaeger2otlp {command}", style="bold cyan"))


def _jaeger2otlp(folder: Path, *arguments: str) -> None:
    result = subprocess.run([sys.executable, "-m", "migrator", *arguments], cwd=folder, check=False)
    if result.returncode == 2:
        raise SystemExit("the demo failed; the error stands above")


def _run(folder: Path, name: str) -> None:
    """Run a sample before and after, show the new spans, and say whether Jaeger shows the same."""
    after = run_side(_side("after", folder / name))
    console.print(Text(after.output.rstrip(), style="dim"))
    for tree in _trees(after.recording):
        console.print(tree)
    before = run_side(_side("before", SAMPLES / name / "before"))
    outcome = compare_recordings(before.recording, after.recording)
    count = len(after.recording.spans)
    console.print(
        Text(f"The legacy program's {count} spans were the same.", style="green")
        if outcome.equal
        else Text("Not what the legacy program sent: see `jaeger2otlp compare`.", style="red")
    )


def _side(label: str, folder: Path) -> Side:
    return Side(label, Program(label, (sys.executable, "-W", "ignore", "main.py"), folder))


def _trees(recording: Recording) -> list[Tree]:
    return [_grow(Tree(_label(span), guide_style="dim"), span) for span in recording.roots]


def _grow(tree: Tree, span: Span) -> Tree:
    for event in span.events:
        tree.add(Text(f"• {event.name} {_pairs(event.attributes)}".rstrip(), style="dim"))
    for child in span.children:
        _grow(tree.add(_label(child)), child)
    return tree


def _label(span: Span) -> Text:
    label = Text.assemble(
        (f"{span.service}: ", "cyan"),
        (span.name, "bold"),
        f"  {(span.end - span.start) / 1e6:.1f} ms",
    )
    if span.kind not in ("unset", "internal"):
        label.append(f"  {span.kind}", style="magenta")
    if span.status == "error":
        label.append("  error", style="bold red")
    if span.attributes:
        label.append(f"  {_pairs(span.attributes)}", style="dim")
    return label


def _pairs(attributes: dict[str, object]) -> str:
    return " ".join(f"{key}={value}" for key, value in attributes.items())


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
