"""Where rules put themselves; importing `codemods.rules` fills it."""

from __future__ import annotations

from codemods.model import Rule


def rules() -> tuple[Rule, ...]:
    """Every rule, by code."""
    return ()
