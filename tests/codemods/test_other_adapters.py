"""Adapters that only a person can replace are reported with what replaces them."""

from __future__ import annotations

import pytest

from codemods.rules.other_adapters import RECIPES
from tests.codemods.helpers import check, check_noop, left


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


@pytest.mark.parametrize("package", ["aioredis_opentracing", "opentracing_prometheus"])
def test_what_is_called_like_an_adapter_keeps_the_tracer_it_takes(package: str) -> None:
    result = check_noop(
        f"import {package}\nfrom jaeger_client import Config\n\n"
        "tracer = Config(config={}, service_name='shop').initialize_tracer()\n"
        f"{package}.init_tracing(tracer)\n"
    )
    assert f"5: {package}.init_tracing" in left(result)


def test_an_adapter_of_the_project_itself_is_its_own_code() -> None:
    check(
        "import opentracing\nfrom shop_opentracing import tags\n\ntags(opentracing.tracer)\n",
        "from opentelemetry import trace\nfrom shop_opentracing import tags\n\n"
        "tags(trace.get_tracer(__name__))\n",
        path="shop_opentracing/app.py",
    )


def test_an_adapter_that_pyramid_includes_is_reported() -> None:
    result = check_noop('config.include("pyramid_opentracing")\n')
    assert [finding.code for finding in result.findings] == ["JO908"]
