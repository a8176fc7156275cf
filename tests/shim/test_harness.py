"""OpenTracing's own harness, unmodified: 25 checks of the API and 8 of the scope manager."""

from __future__ import annotations

import unittest

from opentracing.harness.api_check import APICompatibilityCheckMixin
from opentracing.harness.scope_check import ScopeCompatibilityCheckMixin

from shim.jaeger_client import ConstSampler, Tracer
from shim.jaeger_client.reporter import InMemoryReporter
from shim.scope import ContextScopeManager


class ApiCheck(unittest.TestCase, APICompatibilityCheckMixin):
    def tracer(self):
        return Tracer("harness", InMemoryReporter(), ConstSampler(True))

    def is_parent(self, parent, span):
        return span.parent_id == (None if parent is None else parent.span_id)


class ScopeCheck(unittest.TestCase, ScopeCompatibilityCheckMixin):
    def scope_manager(self):
        return ContextScopeManager()
