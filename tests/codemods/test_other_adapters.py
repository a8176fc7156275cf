"""Adapters that only a person can replace are reported with what replaces them."""

from __future__ import annotations

import pytest

from codemods.rules.other_adapters import RECIPES
from tests.codemods.helpers import check_noop


@pytest.mark.parametrize("package", sorted(RECIPES))
def test_each_has_a_recipe(package: str) -> None:
    result = check_noop(f"import {package}\n\n{package}.something_unusual(1)\n")
    assert RECIPES[package] in {finding.advice for finding in result.findings}


def test_a_decorator_that_walks_the_stack_is_reported() -> None:
    check_noop("from opentracing_utils import trace\n\n\n@trace()\ndef job():\n    pass\n")


def test_a_vendors_way_to_set_the_global_tracer_is_reported() -> None:
    check_noop(
        "from ddtrace.opentracer import Tracer, set_global_tracer\n\n"
        "set_global_tracer(Tracer('shop'))\n"
    )


def test_an_adapter_that_pyramid_includes_is_reported() -> None:
    result = check_noop('config.include("pyramid_opentracing")\n')
    assert [finding.code for finding in result.findings] == ["JO908"]
