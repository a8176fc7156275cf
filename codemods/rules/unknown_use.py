"""A legacy use that no rule speaks for; `codemods/engine.py` reports it."""

from __future__ import annotations

from codemods.model import Safety
from codemods.registry import define

rule = define(
    code="JO000",
    title="legacy use without a rule",
    url="https://opentelemetry.io/docs/migration/opentracing/",
    safety=Safety.REPORT,
    explanation="""\
Every place that uses a legacy name gets a finding. This one says that no rule knows the name, or
the form in which it is used, so the place is left as it is: look for its OpenTelemetry counterpart.
A frequent one is worth a rule; docs/writing-rules.md shows how to write it.
""",
    minutes=15,
)
