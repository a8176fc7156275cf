"""What counts as a legacy site, without the engine."""

from __future__ import annotations

import pytest

from tests.corpus.sites import sites


def names(text: str) -> list[str]:
    return [site.name for site in sites(text.encode()) if not site.is_import]


@pytest.mark.parametrize(
    "text",
    [
        "x = 1\n",
        "# import opentracing\n",
        "tracer.start_active_span('x')\n",
        "from app import tracer\nimport opentracing as _\ntracer.start_active_span('x')\n",
        "try:\n    import opentracing\nexcept ImportError:\n    opentracing = None\n",
        "from opentracing import tags\ndef f(tags):\n    return tags.X\n",
        "import opentracing\nclass C:\n  def set_tag(s): ...\n  def g(self): self.set_tag(1)\n",
    ],
    ids=["none", "comment", "no import", "project", "sentinel", "parameter", "own method"],
)
def test_no_site(text):
    assert names(text) == []


def test_import_is_a_site():
    (site,) = sites(b"from opentracing.ext import tags\n")
    assert (site.name, site.is_import) == ("opentracing.ext.tags", True)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import opentracing\nopentracing.tracer.close()\n", ["opentracing.tracer.close"]),
        ("import opentracing as ot\nf(ot.Format.BINARY)\n", ["opentracing.Format.BINARY"]),
        ("from jaeger_client import Config\nConfig({})\n", ["jaeger_client.Config"]),
        ("import opentracing\nspan.set_tag('a', 1)\n", ["?.set_tag"]),
        (
            "import opentracing\nopentracing.f(opentracing.g()).set_tag(1)\n",
            ["opentracing.f.set_tag", "opentracing.f", "opentracing.g"],
        ),
    ],
)
def test_site(text, found):
    assert names(text) == found
