"""What the tests of rules share: rewrite a text, and check what must hold for every rewrite."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import dedent
from typing import Any

from codemods import Fact, Fate, Options, Rewrite, rewrite


def run(
    source: str, *, path: str = "app.py", facts: Mapping[str, Fact] | None = None, **options: Any
) -> Rewrite:
    """Rewrite one file named `app.py`, the module `app`."""
    return rewrite(
        source.encode(),
        path=path,
        module=path.removesuffix(".py").replace("/", "."),
        is_package=False,
        facts=facts or {},
        options=Options(**options),
    )


def check_noop(source: str, **options: Any) -> Rewrite:
    """Nothing changes; what is legacy is reported."""
    text = dedent(source)
    result = run(text, **options)
    assert result.source.decode() == text
    return result


def check_untouched(source: str, **options: Any) -> None:
    """Nothing changes, and there is nothing to say."""
    assert check_noop(source, **options).findings == ()


def check(before: str, after: str, **options: Any) -> Rewrite:
    """`before` becomes `after`, which compiles and which a second run leaves alone."""
    result = run(dedent(before), **options)
    assert result.source.decode() == dedent(after)
    compile(result.source, "after.py", "exec")
    again = run(dedent(after), **options)
    assert again.source.decode() == dedent(after)
    return result


def left(result: Rewrite) -> list[str]:
    """What was not rewritten, as "line: construct"."""
    return [
        f"{finding.line}: {finding.construct}"
        for finding in result.findings
        if finding.fate is not Fate.REWRITTEN
    ]
