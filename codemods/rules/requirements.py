"""Requirements of legacy distributions; `migrator/manifests.py` finds them."""

from __future__ import annotations

from codemods.model import Safety
from codemods.registry import define

rule = define(
    code="JO010",
    title="requirements of legacy distributions",
    url="https://opentelemetry.io/docs/languages/python/instrumentation/#setup",
    safety=Safety.REPORT,
    explanation="""\
Requirements files, setup.py, setup.cfg, pyproject.toml, Pipfile, tox.ini and environment.yml that
name jaeger-client, opentracing, an adapter of theirs or a removed Jaeger exporter are reported with
what to require instead. They are not edited: hashes and lock files belong to other tools, and pins
that only served jaeger-client (tornado below 6, thrift, six) are yours to judge.
""",
    minutes=5,
)
