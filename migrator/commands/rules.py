"""`jaeger2otlp rules` and `jaeger2otlp explain`: what the rules are and why."""

from __future__ import annotations

import difflib

import click

from codemods import registry
from migrator import report
from migrator.exits import Failure


@click.command(epilog="\b\nExample:\n  jaeger2otlp rules | grep baggage")
def rules() -> None:
    """List the rules: code, safety, title."""
    for line in report.rule_table(registry.rules()):
        click.echo(line)


@click.command(epilog="\b\nExample:\n  jaeger2otlp explain JO101")
@click.argument("code")
def explain(code: str) -> None:
    """Explain one rule: what it does, when it does not, examples."""
    known = {rule.code: rule for rule in registry.rules()}
    rule = known.get(code.upper())
    if rule is None:
        near = [name for name in known if name.startswith(code.upper())]
        near = near or difflib.get_close_matches(code.upper(), known, 1)
        hint = f"did you mean {', '.join(near)}?" if near else "`jaeger2otlp rules` lists them"
        raise Failure(f"no rule has the code {code!r}; {hint}")
    for line in report.rule_text(rule):
        click.echo(line)
