"""Comments that suppress nothing; `migrator/suppression.py` finds them."""

from __future__ import annotations

from codemods.model import Safety
from codemods.registry import define

rule = define(
    code="JO009",
    title="suppression comments without effect",
    url="https://docs.astral.sh/ruff/linter/#detecting-unused-suppression-comments",
    safety=Safety.REPORT,
    explanation="""\
`# jaeger2otlp: ignore` leaves the legacy uses alone whose name stands on its line;
`# jaeger2otlp: ignore[JO101, JO301]` those of these rules only. A comment that leaves nothing alone
or is spelled otherwise is reported, so that none outlives its reason. Where only some rules are
asked for (`--select`, `--ignore`), comments that may concern the others are not judged.
""",
    minutes=1,
)
