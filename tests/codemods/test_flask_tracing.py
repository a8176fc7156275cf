"""Flask-OpenTracing: what traces all requests becomes the instrumentation, the rest is reported."""

from __future__ import annotations

import subprocess
import sys

import pytest

from codemods import Fate
from tests.codemods.helpers import check, check_noop, run

HEAD = """\
from flask import Flask
from flask_opentracing import FlaskTracing
"""
AFTER = """\
from flask import Flask
from opentelemetry.instrumentation.flask import FlaskInstrumentor
"""


@pytest.mark.parametrize("arguments", ["tracer", "tracer, False, app", "tracer, ALL, app"])
def test_tracing_of_decorated_views_only_is_reported(arguments: str) -> None:
    check_noop(f"{HEAD}\nFlaskTracing({arguments})\n")


def test_a_callback_is_reported() -> None:
    check_noop(f"{HEAD}\nFlaskTracing(tracer, True, app, start_span_cb=on_start)\n")


CALLED_BACK = """\
import opentracing
from flask import Flask
from flask_opentracing import FlaskTracing

app = Flask("shop")


def note(span, request):
    span.set_tag("user", request.headers["X-User"])


FlaskTracing(opentracing.tracer, True, app, start_span_cb=note)


@app.route("/a")
def index():
    return ""
"""


def test_a_callback_that_is_a_function_here_is_a_hook_with_unsafe() -> None:
    program = (
        f"{SEEN}{run(CALLED_BACK, unsafe=True).source.decode()}"
        'app.test_client().get("/a", headers={"X-User": "me"})\n'
        "(span,) = exporter.get_finished_spans()\n"
        'print(span.attributes["user"])\n'
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "me\n"


def test_an_extension_that_is_passed_on_needs_unsafe() -> None:
    before = f"{HEAD}\ntracing = FlaskTracing(tracer, True, app)\nregister(tracing)\n"
    check_noop(before)
    check(
        before,
        f"{AFTER}\ntracing = FlaskInstrumentor()\ntracing.instrument_app(app)\nregister(tracing)\n",
        unsafe=True,
    )


def test_a_subclass_is_reported() -> None:
    result = check_noop(f"{HEAD}\n\nclass Mine(FlaskTracing):\n    pass\n")
    assert any("derived" in finding.message for finding in result.findings)


@pytest.mark.parametrize(
    "arguments",
    ["tracer, True, app", "tracer, app=app", "tracer=tracer, trace_all_requests=True, app=app"],
)
def test_an_app_traced_as_a_whole(arguments: str) -> None:
    check(
        f"{HEAD}\napp = Flask(__name__)\ntracing = FlaskTracing({arguments})\n",
        f"{AFTER}\napp = Flask(__name__)\nFlaskInstrumentor().instrument_app(app)\n",
    )


@pytest.mark.parametrize(
    "made",
    [
        "from opentracing.mocktracer import MockTracer\n\ntracer = MockTracer()\n",
        "from jaeger_client import Config\n\ntracer = Config({}, 'a').new_tracer()\n",
    ],
)
def test_a_tracer_with_a_provider_of_its_own_is_reported(made: str) -> None:
    """The instrumentation would ask the global provider, which nobody set."""
    result = run(f"{HEAD}{made}FlaskTracing(tracer, True, app)\n")
    assert "FlaskTracing(tracer, True, app)" in result.source.decode()
    assert any("provider of its own" in finding.message for finding in result.findings)


def test_the_old_name_of_the_class() -> None:
    check(
        "from flask_opentracing import FlaskTracer\n\nFlaskTracer(tracer, True, app)\n",
        "from opentelemetry.instrumentation.flask import FlaskInstrumentor\n\n"
        "FlaskInstrumentor().instrument_app(app)\n",
    )


def test_a_call_that_makes_the_tracer_is_kept() -> None:
    check(
        f"{HEAD}\nFlaskTracing(init_tracer('shop'), True, app)\n",
        f"{AFTER}\ninit_tracer('shop')\nFlaskInstrumentor().instrument_app(app)\n",
    )


@pytest.mark.parametrize("tracer", ["lambda: init_tracer()", "init_tracer"])
def test_a_function_that_makes_the_tracer_later_needs_unsafe(tracer: str) -> None:
    before = f"{HEAD}\nFlaskTracing({tracer}, True, app)\n"
    check_noop(before)
    check(
        before,
        f"{AFTER}\ninit_tracer()\nFlaskInstrumentor().instrument_app(app)\n",
        unsafe=True,
    )


def test_a_function_of_the_file_makes_the_tracer_whatever_its_name() -> None:
    made = "def _tracer():\n    return init_tracer()\n"
    check(
        f"{HEAD}\n{made}\nFlaskTracing(_tracer, True, app)\n",
        f"{AFTER}\n{made}\n_tracer()\nFlaskInstrumentor().instrument_app(app)\n",
        unsafe=True,
    )


LISTED = """\
import opentracing
from flask import Flask
from flask_opentracing import FlaskTracing

app = Flask("shop")
FlaskTracing(opentracing.tracer, True, app, ["method", "missing", "data", "url_rule"])


@app.route("/<name>")
def index(name):
    return name
"""
SEEN = """\
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
"""
ASKED = """\
app.test_client().get("/a")
(span,) = exporter.get_finished_spans()
print(*(f"{key}={span.attributes.get(key)}" for key in ("method", "missing", "data", "url_rule")))
"""


def test_listed_request_attributes_are_set_by_a_hook() -> None:
    program = f"{SEEN}{run(LISTED).source.decode()}{ASKED}"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout == "method=GET missing=None data=None url_rule=/<name>\n", done.stderr


def test_kept_on_self() -> None:
    check(
        """\
        from flask_opentracing import FlaskTracing


        class Service:
            def init_app(self, app):
                self.tracing = FlaskTracing(self.tracer, True, app)

            def tag(self):
                self.tracing.get_span().set_tag("a", 1)
        """,
        """\
        from opentelemetry import trace
        from opentelemetry.instrumentation.flask import FlaskInstrumentor


        class Service:
            def init_app(self, app):
                FlaskInstrumentor().instrument_app(app)

            def tag(self):
                trace.get_current_span().set_attribute("a", 1)
        """,
    )


@pytest.mark.parametrize("given", ["start()", "start", "lambda: start()"])
def test_a_tracer_stays_what_an_extension_that_stays_wants(given: str) -> None:
    result = check_noop(
        f"""\
        from flask_opentracing import FlaskTracing
        from jaeger_client import Config

        from app import app


        def start():
            config = Config({{"sampler": {{"type": "const", "param": 1}}}}, service_name="app")
            return config.initialize_tracer()


        tracing = FlaskTracing({given}, True, app, start_span_cb=print)
        """
    )
    assert {finding.fate for finding in result.findings} == {Fate.REPORTED}


def test_an_extension_stays_with_the_method_that_makes_its_tracer() -> None:
    check_noop(
        """\
        from flask_opentracing import FlaskTracing
        from jaeger_client import Config

        from app import app

        config = Config({"sampler": {"type": "const", "param": 1}}, service_name="app")
        start = config.initialize_tracer
        tracing = FlaskTracing(start, True, app)
        """,
        unsafe=True,
    )


def test_what_a_callback_does_with_its_span_waits_for_the_extension_that_calls_it() -> None:
    before = (
        "from flask_opentracing import FlaskTracing\n\n\n"
        "def name(span, request):\n    span.set_tag('a', 'b')\n\n\n"
        "def create(tracer, app):\n    FlaskTracing(tracer, app=app, start_span_cb=name)\n"
    )
    assert b"span.set_tag('a', 'b')" in run(before).source
    assert b"span.set_attribute('a', 'b')" in run(before, unsafe=True).source
