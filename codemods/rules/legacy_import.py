"""Imports of legacy modules: gone once nothing uses them. The work is `codemods/imports.py`'s."""

from __future__ import annotations

from codemods.model import Safety
from codemods.registry import define

rule = define(
    code="JO001",
    title="legacy imports",
    url="https://opentelemetry.io/docs/languages/python/",
    safety=Safety.SAFE,
    explanation="""\
A legacy import goes when no use of its name is left; what the rewritten code needs is imported in
its place. It stays, and is reported, while a use of it is left. Imports marked `# noqa: F401`,
re-exports (`import x as x` in an `__init__.py`) and names in `__all__` stay too.
""",
    examples=(
        (
            """\
import os

import opentracing
from opentracing.ext import tags

print(os.name)
""",
            """\
import os

print(os.name)
""",
        ),
    ),
)
