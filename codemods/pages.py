"""The pages of docs/rules, made from the rules: `python -m codemods.pages [FOLDER]`."""

from __future__ import annotations

import sys
from pathlib import Path

from codemods.model import Rule
from codemods.registry import rules

FOLDER = Path(__file__).parent.parent / "docs" / "rules"


def pages() -> dict[str, str]:
    """The text of every page by its file name."""
    found = {f"{rule.code}.md": _page(rule) for rule in rules()}
    return {"README.md": _index(), **found}


def _index() -> str:
    rows = "".join(
        f"| [{rule.code}]({rule.code}.md) | {rule.title} | {rule.safety.value} |\n"
        for rule in rules()
    )
    return (
        "# Rules\n\nMade from the rules by `python -m codemods.pages`; do not edit.\n\n"
        "Two codes have no page: `JO000` is a legacy use no rule speaks for, `JO001` a legacy\n"
        "import, which goes when nothing uses it any more.\n\n"
        f"| code | what it rewrites | safety |\n|---|---|---|\n{rows}"
    )


def _page(rule: Rule) -> str:
    examples = "".join(
        f"\n## Example\n\n```python\n{before}```\n\nbecomes\n\n```python\n{after}```\n"
        for before, after in rule.examples
    )
    return (
        f"# {rule.code}: {rule.title}\n\n{rule.explanation.rstrip()}\n\n"
        f"Safety: {rule.safety.value}. By hand: about {rule.minutes} minutes a place. "
        f"See <{rule.url}>.\n{examples}"
    )


def main(folder: Path = FOLDER) -> None:
    """Write the pages, and delete those of rules that are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = pages()
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8")
    for stale in folder.glob("*.md"):
        if stale.name not in wanted:
            stale.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
