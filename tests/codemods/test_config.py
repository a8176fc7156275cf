"""JO101 and JO102 where several configurations, names and namespaces meet."""

from __future__ import annotations

import pytest

from tests.codemods.helpers import check, check_noop, run

CONFIG = 'Config(config={"sampler": {"type": "const", "param": 1}}, service_name='
PROVIDER = "TracerProvider(resource=Resource.create({SERVICE_NAME: "
IMPORTS = """\
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
"""
GLOBAL = "from opentelemetry import trace\n" + IMPORTS
EXPORT = "add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))"


def test_a_local_configuration_shadows_the_modules() -> None:
    before = f"""\
from jaeger_client import Config

config = {CONFIG}"main")
tracer = config.initialize_tracer()


def create_tracer(name):
    config = {CONFIG}name)
    return config.new_tracer()
"""
    after = f"""\
{GLOBAL}
config = {PROVIDER}"main"}}))
config.{EXPORT}
trace.set_tracer_provider(config)
tracer = trace.get_tracer(__name__)


def create_tracer(name):
    provider = {PROVIDER}name}}))
    provider.{EXPORT}
    return provider.get_tracer(__name__)
"""
    check(before, after)


def test_two_configurations_of_one_function_are_two_providers() -> None:
    before = f"""\
from jaeger_client import Config


def tracers():
    one = {CONFIG}"one")
    two = {CONFIG}"two")
    return one.new_tracer(), two.new_tracer()
"""
    after = f"""\
{IMPORTS}

def tracers():
    provider = {PROVIDER}"one"}}))
    provider.{EXPORT}
    tracer_provider = {PROVIDER}"two"}}))
    tracer_provider.{EXPORT}
    return provider.get_tracer(__name__), tracer_provider.get_tracer(__name__)
"""
    check(before, after)


def test_a_global_keeps_its_name() -> None:
    before = f"""\
from jaeger_client import Config

config = None


def start():
    global config
    config = {CONFIG}"x")
    config.initialize_tracer()


def tracer():
    return config.new_tracer()
"""
    after = f"""\
{GLOBAL}
config = None


def start():
    global config
    config = {PROVIDER}"x"}}))
    config.{EXPORT}
    trace.set_tracer_provider(config)


def tracer():
    return config.get_tracer(__name__)
"""
    check(before, after)


@pytest.mark.parametrize("head", ["class App:", "if DEBUG:"])
def test_a_name_that_others_may_read_is_kept(head: str) -> None:
    before = f"from jaeger_client import Config\n\n\n{head}\n    jaeger = {CONFIG}'x')\n"
    before += "    tracer = jaeger.new_tracer()\n"
    assert f"    jaeger = {PROVIDER}'x'}}))" in run(before).source.decode()


def test_the_new_name_does_not_hide_one_the_function_reads() -> None:
    before = f"""\
from jaeger_client import Config
from app import provider


def tracer():
    config = {CONFIG}provider.name)
    return config.new_tracer()
"""
    text = run(before).source.decode()
    assert "    tracer_provider = TracerProvider(" in text


def test_the_attribute_of_another_class_is_another_configuration() -> None:
    before = f"""\
from jaeger_client import Config


class AtRunTime:
    def __init__(self, settings):
        self.config = Config(config=settings, service_name="a")
        self.config.initialize_tracer()


class Written:
    def __init__(self):
        self.config = {CONFIG}"b")
        self.config.initialize_tracer()
"""
    assert run(before).source.decode().count("trace.set_tracer_provider(self.config)") == 1


def test_each_branch_sets_the_provider_where_the_shim_does_in_one() -> None:
    before = f"""\
from jaeger_client import Config


def setup(name, given):
    if given is None:
        config = {CONFIG}name)
    else:
        config = Config(config=given(), service_name=name)
    return config.initialize_tracer()
"""
    after = f"""\
{GLOBAL}from shim import configure


def setup(name, given):
    if given is None:
        config = {PROVIDER}name}}))
        config.{EXPORT}
        trace.set_tracer_provider(config)
    else:
        config = configure(given(), service_name=name, protocol="grpc")
    return config.get_tracer(__name__)
"""
    check(before, after)


def test_a_configuration_that_may_come_from_elsewhere_is_set_before_its_tracer() -> None:
    before = """\
from jaeger_client import Config


def setup(given, config=None):
    if config is None:
        config = Config(config=given(), service_name="x")
    return config.initialize_tracer()
"""
    after = """\
from opentelemetry import trace
from shim import configure


def setup(given, config=None):
    if config is None:
        config = configure(given(), service_name="x", protocol="grpc", set_global=False)
    trace.set_tracer_provider(config)
    return trace.get_tracer(__name__)
"""
    result = check(before, after)
    assert any("sets no propagators" in finding.advice for finding in result.findings)


def test_new_tracer_of_a_configuration_made_at_run_time_sets_nothing() -> None:
    before = """\
from jaeger_client import Config


def tracer(given):
    tracer = Config(config=given(), service_name="x").new_tracer()
    return tracer
"""
    after = """\
from shim import configure


def tracer(given):
    provider = configure(given(), service_name="x", protocol="grpc", set_global=False)
    tracer = provider.get_tracer(__name__)
    return tracer
"""
    check(before, after)


@pytest.mark.parametrize(
    "register", ["opentracing.set_global_tracer({})", "opentracing.tracer = {}"]
)
def test_a_new_tracer_that_is_registered_at_once_sets_its_provider(register: str) -> None:
    before = "import opentracing\nfrom jaeger_client import Config\n\n"
    before += register.format(CONFIG + "'x').new_tracer()") + "\n"
    after = f"""\
{GLOBAL}
provider = {PROVIDER}'x'}}))
provider.{EXPORT}
trace.set_tracer_provider(provider)
trace.get_tracer(__name__)
"""
    check(before, after)


def test_a_tracer_made_by_hand_and_registered_at_once_sets_its_provider() -> None:
    before = """\
import opentracing
from jaeger_client import ConstSampler, Tracer
from jaeger_client.reporter import InMemoryReporter

opentracing.tracer = Tracer("x", InMemoryReporter(), ConstSampler(True))
"""
    assert "trace.set_tracer_provider(provider)" in run(before).source.decode()


def test_a_provider_out_of_reach_is_not_taken_for_the_global_one() -> None:
    before = f"""\
import opentracing
from jaeger_client import Config


def new():
    config = {CONFIG}"x")
    return config.new_tracer()


opentracing.set_global_tracer(new())
"""
    result = run(before, unsafe=True)
    assert "opentracing.set_global_tracer(new())" in result.source.decode()
    assert any("set it with trace.set_tracer_provider" in one.message for one in result.findings)


@pytest.mark.parametrize("maker", ["make_tracer('shop')", "vendor.make_tracer()", "self.tracer()"])
def test_a_tracer_of_an_unknown_maker_stays_the_global_one(maker: str) -> None:
    check_noop(
        f"import opentracing\nfrom tracing import make_tracer, vendor\n\n\n"
        f"def set_up(self):\n    opentracing.tracer = {maker}\n"
    )


def test_a_global_tracer_that_stays_is_saved_and_put_back_as_before() -> None:
    check_noop(
        """\
        import opentracing
        from tests import make_tracer


        def traced():
            saved = opentracing.tracer
            opentracing.tracer = make_tracer()
            yield
            opentracing.tracer = saved
        """
    )


def test_the_shim_speaks_the_protocol_of_the_migration() -> None:
    before = """\
from jaeger_client import Config


def setup(given):
    return Config(config=given(), service_name="x").initialize_tracer()
"""
    after = """\
from shim import configure


def setup(given):
    return configure(given(), service_name="x", protocol="http/protobuf").get_tracer(__name__)
"""
    check(before, after, protocol="http")


def test_a_tracer_with_a_provider_of_its_own_closes_that_one() -> None:
    before = f"""\
from jaeger_client import Config


def once():
    tracer = {CONFIG}"x").new_tracer()
    tracer.close()
"""
    after = f"""\
{IMPORTS}

def once():
    provider = {PROVIDER}"x"}}))
    provider.{EXPORT}
    tracer = provider.get_tracer(__name__)
    provider.shutdown()
"""
    check(before, after)


def test_a_fixture_of_unknown_origin_is_not_closed_in_place_of_the_global_one() -> None:
    before = """\
import opentracing


def test_work(tracer):
    tracer.start_span("a").finish()
    tracer.close()
"""
    result = run(before, unsafe=True)
    assert result.source.endswith(b'tracer.start_span("a").end()\n    tracer.close()\n')
    assert any("fixture's" in one.message for one in result.findings)


def test_a_provider_out_of_reach_is_not_closed_in_place_of_the_global_one() -> None:
    before = f"""\
from jaeger_client import Config


class App:
    def __init__(self):
        self.tracer = {CONFIG}"x").new_tracer()

    def stop(self):
        self.tracer.close()
"""
    result = run(before, unsafe=True)
    assert b"self.tracer.close()" in result.source
    assert any("call its shutdown()" in one.message for one in result.findings)


def test_the_settings_of_a_module_stay_for_those_who_import_them() -> None:
    before = """\
from jaeger_client import Config

SETTINGS = {"sampler": {"type": "const", "param": 1}}
tracer = Config(config=SETTINGS, service_name="x").initialize_tracer()
"""
    text = run(before).source.decode()
    assert "SETTINGS = {" in text
    assert "TracerProvider(" in text


HEADERS = """\
from jaeger_client import Config

tracer = Config(
    {"sampler": {"type": "const", "param": 1}, "trace_id_header": HEADER, "debug_id_header": "d"},
    service_name="a",
).initialize_tracer()
"""


def test_both_propagations_keep_the_headers_of_the_configuration() -> None:
    source = run(HEADERS, propagation="both").source.decode()
    assert 'UberTraceIdPropagator(trace_id_header=HEADER, debug_id_header="d")' in source


@pytest.mark.parametrize(("header", "named"), [("'x-id'", "x-id"), ("HEADER", "HEADER")])
def test_a_header_that_is_given_up_is_named(header: str, named: str) -> None:
    result = run(HEADERS.replace("HEADER", header))
    assert "UberTraceIdPropagator" not in result.source.decode()
    advice = " ".join(finding.advice for finding in result.findings)
    assert f"services that still speak `{named}` start new traces" in advice


def test_a_second_global_provider_would_not_be_taken() -> None:
    before = """\
        from jaeger_client import Config
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider

        trace.set_tracer_provider(TracerProvider())


        def start(name):
            config = Config({"sampler": {"type": "const", "param": 1}}, service_name=name)
            return config.initialize_tracer()
        """
    result = check_noop(before)
    assert "line 5 may keep the global provider" in result.findings[-1].advice
    check(
        before,
        """\
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        trace.set_tracer_provider(TracerProvider())


        def start(name):
            provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
            provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
            return provider.get_tracer(__name__)
        """,
        unsafe=True,
    )


@pytest.mark.parametrize(
    ("agent", "note"),
    [
        ('"local_agent": {"reporting_host": "jaeger", "reporting_port": PORT}', "`PORT` is not"),
        ('"logging": True', "JAEGER_AGENT_HOST is not read any more"),
    ],
)
def test_what_is_set_elsewhere_and_no_longer_asked_for_is_said(agent: str, note: str) -> None:
    result = run(
        "from jaeger_client import Config\n\n"
        f'config = Config({{"sampler": {{"type": "const"}}, {agent}}}, service_name="a")\n'
        "tracer = config.new_tracer()\n"
    )
    assert any(note in finding.advice for finding in result.findings)


def test_a_configuration_whose_method_is_passed_on_stays() -> None:
    check_noop(
        """\
        from jaeger_client import Config

        from app import traced

        config = Config({"sampler": {"type": "const", "param": 1}}, service_name="app")
        traced(config.initialize_tracer)
        """,
        unsafe=True,
    )


def test_a_set_up_that_stays_says_that_spans_are_sent_nowhere() -> None:
    result = run(
        "import opentracing\nfrom jaeger_client import Config\n\n"
        'config = Config({"strange": 1}, service_name="a")\nconfig.initialize_tracer()\n\n\n'
        'def work():\n    with opentracing.tracer.start_active_span("a"):\n        pass\n'
    )
    assert "start_as_current_span" in result.source.decode()
    (told,) = [f for f in result.findings if "sent nowhere" in f.advice]
    assert told.construct == "jaeger_client.Config.initialize_tracer"


def test_a_debug_header_that_is_given_up_is_said() -> None:
    lost = "the debug id header is no longer read"
    w3c, both = (run(HEADERS, propagation=speaks).findings for speaks in ("w3c", "both"))
    assert any(lost in finding.message for finding in w3c)
    assert not any(lost in finding.message for finding in both)


@pytest.mark.parametrize(("where", "is_said"), [("def start():\n    ", True), ("", False)])
def test_an_exporter_that_is_made_before_a_fork_is_noted(where: str, is_said: bool) -> None:
    result = run(
        "from jaeger_client import Config\n\n"
        "config = Config({'sampler': {'type': 'const', 'param': 1}}, service_name='worker')\n"
        f"{where}config.initialize_tracer()\n"
    )
    assert any("forks" in finding.advice for finding in result.findings) == is_said


@pytest.mark.parametrize(
    ("given", "sizes"),
    [
        ('"reporter_queue_size": 100', ["max_queue_size=100", "max_export_batch_size=100"]),
        (
            '"reporter_queue_size": 5, "reporter_batch_size": 10',
            ["max_queue_size=5", "max_export_batch_size=5"],
        ),
        ('"reporter_queue_size": 2000', ["max_queue_size=2000"]),
        (
            '"reporter_queue_size": int(size)',
            ["max_queue_size=int(size)", "max_export_batch_size=min(512, int(size))"],
        ),
        ('"reporter_batch_size": 20', ["max_export_batch_size=20"]),
    ],
)
def test_no_more_is_sent_at_once_than_the_queue_takes(given: str, sizes: list[str]) -> None:
    result = run(
        "from jaeger_client import Config\n"
        f'Config({{"sampler": {{"type": "const", "param": 1}}, {given}}}, service_name="x")'
        ".initialize_tracer()\n"
    )
    lines = [line.strip(" ,") for line in result.source.decode().splitlines()]
    assert [line for line in lines if "_size=" in line] == sizes


def test_a_sampler_that_is_chosen_by_a_condition() -> None:
    result = run(
        "from jaeger_client import Config\n"
        'tracer = Config({"sampler": {"type": "const", "param": 1 if debug else 0}}, '
        'service_name="x").initialize_tracer()\n'
    )
    assert b"ParentBased(ALWAYS_ON if (1 if debug else 0) else ALWAYS_OFF)" in result.source
