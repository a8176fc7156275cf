"""opentracing_instrumentation's patches and decorators."""

from __future__ import annotations

import pytest

from tests.codemods.helpers import check, check_noop

PATCHED = (
    "botocore", "celery", "mysqlclient", "psycopg2", "redis", "requests", "sqlalchemy", "tornado",
    "urllib",
)  # fmt: skip
HOOKS = "opentracing_instrumentation.client_hooks"


@pytest.mark.parametrize(
    "line",
    [
        f"from {HOOKS} import install_patches\n\ninstall_patches(names)\n",
        f"from {HOOKS} import install_patches\n\ninstall_patches(['mine.patches'])\n",
        f"from {HOOKS} import install_all_patches\n\ninstall_all_patches(response_hook=hook)\n",
        "from opentracing_instrumentation import http_server\n\nhttp_server.before_request(r)\n",
        "from opentracing_instrumentation import traced_function\n\n\n"
        "@traced_function(on_start=f)\ndef job():\n    pass\n",
    ],
)
def test_what_has_no_counterpart_is_reported(line: str) -> None:
    check_noop(line)


@pytest.mark.parametrize(
    ("patch", "module", "name"),
    [
        ("requests", "requests", "RequestsInstrumentor"),
        ("strict_redis", "redis", "RedisInstrumentor"),
        ("tornado_http", "tornado", "TornadoInstrumentor"),
        ("boto3", "botocore", "BotocoreInstrumentor"),
    ],
)
def test_one_patch(patch: str, module: str, name: str) -> None:
    check(
        f"from {HOOKS} import {patch}\n\n{patch}.install_patches()\n",
        f"from opentelemetry.instrumentation.{module} import {name}\n\n{name}().instrument()\n",
    )


def test_patches_by_dotted_name() -> None:
    check(
        f"from {HOOKS} import install_patches\n\n"
        f"install_patches(['{HOOKS}.requests.install_patches'])\n",
        "from opentelemetry.instrumentation.requests import RequestsInstrumentor\n\n"
        "RequestsInstrumentor().instrument()\n",
    )


ALL = f"from {HOOKS} import install_all_patches\n\ninstall_all_patches()\n"


def test_all_patches_are_the_instrumentations_of_what_was_patched() -> None:
    check(
        ALL,
        """\
        from importlib.metadata import entry_points

        for entry_point in entry_points(group="opentelemetry_instrumentor"):
            if entry_point.name in (EACH):
                entry_point.load()().instrument()
        """.replace("EACH", ", ".join(f'"{name}"' for name in PATCHED)),
    )


def test_all_patches_where_the_loop_would_take_a_name_of_the_file() -> None:
    check_noop(f"{ALL}\nentry_point = 5\n")


@pytest.mark.parametrize(
    ("decorator", "name"),
    [("@traced_function", '"job"'), ('@traced_function(name="a job")', '"a job"')],
)
def test_a_decorated_function(decorator: str, name: str) -> None:
    check(
        "from opentracing_instrumentation import traced_function\n\n\n"
        f"{decorator}\nasync def job():\n    pass\n",
        "from opentelemetry import trace\n\ntracer = trace.get_tracer(__name__)\n\n\n"
        f"@tracer.start_as_current_span({name})\nasync def job():\n    pass\n",
    )


def test_patches_stay_with_the_tracer_that_this_file_sets_up() -> None:
    result = check_noop(
        """\
        from jaeger_client import Config
        from opentracing_instrumentation.client_hooks import install_all_patches

        config = Config({"sampler": {"type": "const", "param": 1}}, service_name="app")
        tracer = config.initialize_tracer()
        tracer.unheard_of()
        install_all_patches()
        """
    )
    assert "line 5 stays" in result.findings[-1].message


def test_what_stands_behind_the_function_that_patches_only_once_is_the_same() -> None:
    before = (
        "from opentracing_instrumentation.client_hooks.tornado_http import install_patches\n\n"
        "install_patches.__original_func()\n"
    )
    after = (
        "from opentelemetry.instrumentation.tornado import TornadoInstrumentor\n\n"
        "TornadoInstrumentor().instrument()\n"
    )
    check(before, after)


def test_a_span_in_a_stack_context_is_not_marked_by_an_exception() -> None:
    check(
        """\
        from opentracing_instrumentation.request_context import span_in_stack_context


        def serve(span, handler):
            with span_in_stack_context(span):
                return handler()
        """,
        """\
        from opentelemetry import trace


        def serve(span, handler):
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                return handler()
        """,
    )
