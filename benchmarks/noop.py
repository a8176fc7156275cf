"""A libcst codemod that does nothing: what the usual framework costs per file."""

from __future__ import annotations

from libcst.codemod import VisitorBasedCodemodCommand


class Noop(VisitorBasedCodemodCommand):
    DESCRIPTION = "Does nothing."
