"""How one Python file is rewritten: legacy Jaeger and OpenTracing in, plain OpenTelemetry out.

Nothing here reads or writes files; `migrator` does. The flow for one repository:

1. `is_candidate(source)` on every file: a byte search, no parse.
2. `module_facts(...)` on every candidate, repeated until no fact is new; files that import a
   module with facts (`imported_modules`) become candidates too.
3. `rewrite(...)` on every candidate with all facts.
"""

from codemods.engine import imported_modules, is_candidate, module_facts, rewrite
from codemods.model import (
    Fact,
    Facts,
    Fate,
    Finding,
    Options,
    Rewrite,
    Rule,
    Safety,
    Stays,
    Unreadable,
)

__all__ = [
    "Fact",
    "Facts",
    "Fate",
    "Finding",
    "Options",
    "Rewrite",
    "Rule",
    "Safety",
    "Stays",
    "Unreadable",
    "imported_modules",
    "is_candidate",
    "module_facts",
    "rewrite",
]
