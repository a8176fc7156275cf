"""What tests need where they run the dead client itself."""

from __future__ import annotations

import sys

import pytest

needs_jaeger_client = pytest.mark.skipif(
    sys.version_info >= (3, 14),
    reason="jaeger-client 4.8 cannot close its tracer on Python 3.14, which makes no event loop "
    "unasked; run it on 3.13 or older: make test PYTHON=python3.13 VENV=.venv-3.13",
)
