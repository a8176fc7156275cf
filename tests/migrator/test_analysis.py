"""Files of one project decided together: what stays legacy in one holds its users back."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from codemods import Fate
from migrator.analysis import Analysis, analyse, analyse_text
from migrator.settings import DEFAULTS

HELPER = """\
    from opentracing.mocktracer import MockTracer

    def make():
        return MockTracer() or None
    """
CONFTEST = """\
    import pytest
    from opentracing.mocktracer import MockTracer

    @pytest.fixture
    def tracer():
        yield MockTracer() or None
    """
SETUP = """\
    from jaeger_client import Config

    def make():
        config = Config({"sampler": {"type": "const", "param": 1}, "strange": 1}, service_name="a")
        return config.new_tracer()
    """
WORK = """\
    class Worker:
        def __init__(self, tracer):
            self.tracer = tracer

        def work(self):
            with self.tracer.start_active_span("a") as scope:
                scope.span.log_kv({"event": "b"})
    """


def write(folder: Path, **files: str) -> Path:
    """A project; `lib_init` stands for `lib/__init__.py`, `lib_work` for `lib/work.py`."""
    (folder / ".git").mkdir()
    for name, text in files.items():
        name = re.sub("^(lib|t|redis_opentracing)_", r"\1/", name).replace("/init", "/__init__")
        path = folder / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(text))
    return folder


def changed(analysis: Analysis) -> set[str]:
    return {Path(path).stem for path in analysis.after}


def messages(analysis: Analysis, name: str) -> list[str]:
    """What is left in a file, as "line: message"."""
    return [
        f"{finding.line}: {finding.message}"
        for path, findings in analysis.findings.items()
        for finding in findings
        if Path(path).stem == name and finding.fate is not Fate.REWRITTEN
    ]


@pytest.mark.parametrize(
    "use",
    [
        "from helper import make\n\nmake().start_span('a').log_kv({})\n",
        "import helper\n\ntracer = helper.make()\ntracer.start_span('a').log_kv({})\n",
        "from helper import make as m\n\n\ndef f():\n    m().start_span('a').log_kv({})\n",
    ],
    ids=["call", "module", "function"],
)
def test_a_tracer_made_in_a_module_that_keeps_it_is_used_as_before(tmp_path, use):
    found = analyse([str(write(tmp_path, helper=HELPER, use=use))], DEFAULTS)
    assert changed(found) == set()
    assert "line 4 of helper stays OpenTracing's" in " ".join(messages(found, "use"))


def test_a_tracer_passed_to_a_class_of_another_module_holds_its_methods_back(tmp_path):
    main = "from helper import make\nfrom work import Worker\n\nWorker(make()).work()\n"
    found = analyse([str(write(tmp_path, helper=HELPER, work=WORK, main=main))], DEFAULTS)
    assert changed(found) == set()
    assert "6: the tracer made in line 4 of helper stays" in messages(found, "work")[0]


def test_it_is_found_through_a_package_that_re_exports_the_class(tmp_path):
    folder = write(
        tmp_path,
        helper=HELPER,
        lib_work=WORK,
        lib_init="from lib.work import Worker\n",
        main="from helper import make\nfrom lib import Worker\n\nWorker(make()).work()\n",
    )
    found = analyse([str(folder)], DEFAULTS)
    assert changed(found) == set()
    assert "6: the tracer made in line 4 of helper stays" in messages(found, "work")[0]


def test_a_chain_of_files_waits_for_the_first(tmp_path):
    folder = write(
        tmp_path,
        helper=HELPER,
        second="from helper import make\n\ndef span():\n    return make().start_span('a')\n",
        third="from second import span\n\ndef context():\n    return span().context\n",
        fourth="from third import context\nimport opentracing\n\n"
        "opentracing.tracer.start_span('b', child_of=context())\n",
    )
    found = analyse([str(folder)], DEFAULTS)
    assert "4: the span made in line 4 of second stays" in messages(found, "third")[0]
    assert "4: the context made in line 4 of third stays" in " ".join(messages(found, "fourth"))


def test_fixtures_of_conftest_hold_the_tests_back(tmp_path):
    test = """\
        def test_work(tracer):
            with tracer.start_active_span("a"):
                pass
        """
    found = analyse([str(write(tmp_path, t_conftest=CONFTEST, t_test_work=test))], DEFAULTS)
    assert changed(found) == set()
    assert "2: the tracer made in line 6 of t.conftest" in messages(found, "test_work")[0]


def test_what_uses_a_set_up_that_is_held_back_is_held_back_and_applied_with_it(tmp_path):
    use = "from setup import make\n\nmake().start_span('a').log_kv({'event': 'b'})\n"
    folder = str(write(tmp_path, setup=SETUP, use=use))
    found = analyse([folder], DEFAULTS)
    assert changed(found) == set()
    assert {f.fate for path, fs in found.findings.items() for f in fs if f.line > 1} == {Fate.HELD}
    assert changed(analyse([folder], replace(DEFAULTS, unsafe=True))) == {"setup", "use"}


def test_one_file_alone_waits_for_makers_in_the_others(tmp_path):
    use = "from helper import make\n\nmake().start_span('a').log_kv({})\n"
    folder = write(tmp_path, helper=HELPER, use=use)
    found = analyse([str(folder / "use.py")], DEFAULTS)
    assert changed(found) == set()
    assert [Path(path).stem for path in found.findings] == ["use"]
    assert not analyse_text(use.encode(), str(folder / "use.py"), DEFAULTS).after


def test_a_function_also_given_a_rewritten_tracer_is_rewritten(tmp_path):
    main = "import opentracing\nfrom work import Worker\n\nWorker(opentracing.tracer).work()\n"
    test = "from helper import make\nfrom work import Worker\n\nWorker(make()).work()\n"
    folder = write(tmp_path, helper=HELPER, work=WORK, main=main, test_work=test)
    found = analyse([str(folder)], DEFAULTS)
    assert changed(found) == {"main", "work"}
    advice = [f.advice for path, fs in found.findings.items() if "work.py" in path for f in fs]
    assert any("line 4 of helper comes here too" in one for one in advice)


@pytest.mark.parametrize(
    ("given", "asks"),
    [
        ("span.context", "if isinstance(parent, trace.SpanContext) else parent"),
        ("span", "if isinstance(parent, trace.Span) else parent"),
    ],
)
@pytest.mark.parametrize("first", ["a", "z"])
def test_what_callers_of_two_modules_pass_is_told_apart_whoever_is_heard_first(
    tmp_path, first, given, asks
):
    work = """\
        def work(tracer, parent):
            return tracer.start_span("a", child_of=parent)
        """
    sent = f"""\
        import opentracing
        from work import work

        span = opentracing.tracer.start_span("b")
        work(opentracing.tracer, {given})
        """
    received = """\
        import opentracing
        from work import work

        work(opentracing.tracer, opentracing.tracer.extract("text_map", {}))
        """
    folder = write(tmp_path, work=work, **{f"{first}_sent": sent, "m_received": received})
    found = analyse([str(folder)], DEFAULTS)
    text = next(after for path, after in found.after.items() if "work.py" in path).decode()
    assert asks in text


def test_the_global_tracer_waits_for_no_set_up(tmp_path):
    use = "import opentracing\n\nopentracing.global_tracer().start_span('a').finish()\n"
    assert "use" in changed(analyse([str(write(tmp_path, setup=SETUP, use=use))], DEFAULTS))


def test_a_string_that_names_what_another_module_imports_is_reported(tmp_path):
    folder = write(
        tmp_path,
        app="from opentracing import global_tracer\n\nspan = global_tracer().start_span('a')\n",
        test_app="import app\nimport opentracing\n\n\ndef test(mocker):\n"
        "    mocker.patch('app.global_tracer')\n",
    )
    found = analyse([str(folder)], DEFAULTS)
    assert "6: a legacy name that another module imports" in messages(found, "test_app")[0]


def test_a_project_that_is_an_adapter_is_not_legacy_to_its_own_tests(tmp_path):
    folder = write(
        tmp_path,
        redis_opentracing_init="import opentracing\n\ndef init_tracing(tracer):\n    pass\n",
        test_it="import opentracing\nfrom redis_opentracing import init_tracing\n\n"
        "init_tracing(opentracing.global_tracer())\n",
    )
    found = analyse([str(folder)], DEFAULTS)
    text = next(after for path, after in found.after.items() if "test_it" in path).decode()
    assert "init_tracing(trace.get_tracer(__name__))" in text


FLASK = """\
    from flask import Flask
    from flask_opentracing import FlaskTracing
    from lib import watch

    app = Flask(__name__)
    tracing = FlaskTracing(tracer, True, app)
    watch(tracing)
    """


def test_an_extension_given_to_a_function_of_the_project_is_followed(tmp_path):
    lib = "def watch(extension):\n    return extension.get_span()\n"
    found = analyse([str(write(tmp_path, lib=lib, app=FLASK))], DEFAULTS)
    assert changed(found) == {"lib", "app"}


def test_an_extension_given_to_an_unknown_function_is_held_back(tmp_path):
    found = analyse([str(write(tmp_path, app=FLASK))], DEFAULTS)
    assert changed(found) == set()


@pytest.mark.parametrize(
    ("made", "is_closed"),
    [
        ("Config(config={}, service_name=name).initialize_tracer()", True),
        ("Config(config={}, service_name=name).new_tracer()", False),
        ("Tracer(name, reporter, ConstSampler(True))", False),
    ],
)
def test_a_tracer_of_another_module_is_closed_where_its_provider_is_the_global_one(
    tmp_path, made: str, is_closed: bool
):
    names = "Config, ConstSampler, Tracer"
    lib = f"from jaeger_client import {names}\n\ndef make(name):\n    return {made}\n"
    main = "from lib import make\n\nmake('x').close()\n"
    found = analyse([str(write(tmp_path, lib=lib, main=main))], DEFAULTS)
    assert ("main" in changed(found)) == is_closed
    if not is_closed:
        assert "keep it, and call its shutdown()" in messages(found, "main")[0]


REQUEST = """\
    import opentracing


    class Base:
        def set_span(self, span: "opentracing.Span") -> None:
            self.span = span

        def finish(self) -> None:
            self.span.set_tag("a", 1)
            self.span.finish()


    class Request(Base):
        pass
    """


@pytest.mark.parametrize("annotation", ["Request", '"Request"', '"Optional[Request]"'])
def test_a_span_given_to_an_annotated_object_holds_its_class_back(tmp_path, annotation):
    serve = f"""\
        import opentracing
        from request import Request
        from typing import Optional

        def serve(request: {annotation}, options) -> None:
            span = opentracing.tracer.start_span("a", **options)
            request.set_span(span)
        """
    found = analyse([str(write(tmp_path, request=REQUEST, serve=serve))], DEFAULTS)
    assert [line.partition(":")[0] for line in messages(found, "request")] == ["9", "10"]


FACADE = "import opentracing\n\n\ndef tracer():\n    return opentracing.global_tracer()\n"


def test_a_tracer_waits_for_a_call_that_another_file_keeps(tmp_path):
    use = (
        "from facade import tracer\n\n\ndef f(how):\n    tracer().start_span('a', **how).finish()\n"
    )
    other = "from facade import tracer\n\ntracer().start_span(operation_name='b').finish()\n"
    folder = write(tmp_path, facade=FACADE, use=use, other=other)
    found = analyse([str(folder)], DEFAULTS)
    assert changed(found) == set()
    unsafe = analyse([str(folder)], replace(DEFAULTS, unsafe=True))
    assert changed(unsafe) == {"facade", "use", "other"}


def test_what_only_a_reader_can_rewrite_elsewhere_is_a_precondition(tmp_path):
    use = "from facade import tracer\n\nmanager = tracer().scope_manager\n"
    folder = write(tmp_path, facade=FACADE, use=use)
    assert changed(analyse([str(folder)], DEFAULTS)) == set()
    assert changed(analyse([str(folder)], replace(DEFAULTS, unsafe=True))) == {"facade"}


def test_the_reason_told_is_the_first_of_a_chain(tmp_path):
    lib = """\
        import opentracing

        def work(how):
            with opentracing.tracer.start_active_span("a", **how) as scope:
                scope.span.set_tag("b", "c")
        """
    (findings,) = analyse([str(write(tmp_path, lib=lib))], DEFAULTS).findings.values()
    assert {f.line: f.waits_for for f in findings if f.waits_for} == {
        4: "line 4",  # the tracer, for its call
        5: "the scope made in line 4",
    }


@pytest.mark.parametrize("taken", ["*", "opentracing"])
def test_a_legacy_module_that_comes_from_a_module_of_the_project_goes_with_its_import(
    tmp_path, taken
):
    lib = "import opentracing\n\nopentracing.tracer.start_span('a').finish()\n"
    use = (
        f"from lib import {taken}\n\nopentracing.tracer.start_span('b', tags={{'c': 1}}).finish()\n"
    )
    found = analyse([str(write(tmp_path, lib=lib, use=use))], DEFAULTS)
    assert changed(found) == {"lib", "use"}
    assert all(b"opentracing.tracer" not in text for text in found.after.values())
    assert all(b"import opentracing" not in text for text in found.after.values())


def test_a_library_that_another_module_is_asked_for_is_reported_as_that_modules(tmp_path):
    lib = "try:\n    import opentracing\nexcept ImportError:\n    opentracing = None\n"
    use = "import lib\n\nif lib.opentracing is not None:\n    print('traced')\n"
    found = analyse([str(write(tmp_path, lib=lib, use=use))], DEFAULTS)
    assert messages(found, "use") == [
        "3: lib.opentracing is what another module imports, and goes with that import"
    ]


def test_what_stays_is_imported_from_where_it_is(tmp_path):
    lib = "from opentracing import tags\n\nprint(tags.ERROR)\n"
    use = "from lib import tags\n\nprint(tags.unheard_of, tags.ERROR)\n"
    found = analyse([str(write(tmp_path, lib=lib, use=use))], DEFAULTS)
    after = {Path(path).stem: text.decode() for path, text in found.after.items()}
    assert "import" not in after["lib"]
    assert after["use"].startswith("from opentracing import tags\n")


def test_constants_that_a_star_lends_go_with_it_unless_the_module_has_its_own(tmp_path):
    names = "from opentracing.ext.tags import *\n\nERROR = 'failed'\n"
    use = "import names\n\nprint(names.COMPONENT, names.ERROR)\n"
    found = analyse([str(write(tmp_path, names=names, use=use))], DEFAULTS)
    after = {Path(path).stem: text.decode() for path, text in found.after.items()}
    assert after["names"] == "ERROR = 'failed'\n"
    assert after["use"] == 'import names\n\nprint("component", names.ERROR)\n'


def test_a_file_asked_for_alone_heeds_those_that_use_it(tmp_path):
    use = (
        "from facade import tracer\n\n\ndef f(how):\n    tracer().start_span('a', **how).finish()\n"
    )
    folder = write(tmp_path, facade=FACADE, use=use)
    assert changed(analyse([str(folder / "facade.py")], DEFAULTS)) == set()


def test_a_tracer_of_conftest_has_its_exporter_with_it(tmp_path):
    folder = write(
        tmp_path,
        t_conftest=CONFTEST.replace(" or None", ""),
        t_test_work="def test_work(tracer):\n    assert tracer.finished_spans()\n",
    )
    after = {Path(path).stem: text for path, text in analyse([str(folder)], DEFAULTS).after.items()}
    assert b"tracer.exporter.get_finished_spans()" in after["test_work"]


def test_a_defect_while_facts_are_gathered_costs_its_file_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import codemods

    asked = codemods.module_facts

    def fail_at_one(source: bytes, **options: Any) -> Any:
        if options["module"] == "one":
            raise AssertionError("a defect")
        return asked(source, **options)

    monkeypatch.setattr(codemods, "module_facts", fail_at_one)
    folder = write(tmp_path, one=SETUP, two="import opentracing\n\nopentracing.tracer.close()\n")
    analysis = analyse([str(folder)], DEFAULTS)
    assert [Path(problem.path).stem for problem in analysis.problems] == ["one"]
    assert "this is a defect of jaeger2otlp" in analysis.problems[0].message
    assert changed(analysis) == {"two"}


HELPERS = """\
    import opentracing

    def get():
        return opentracing.global_tracer()

    def begin(name):
        return get().start_span(name)
    """
HELPERS_USED = """\
    import lib
    from lib import begin

    lib.get().start_span("a", child_of=None).finish()
    one = begin("b")
    one.set_tag("size", 1)
    """


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "one-file"])
@pytest.mark.parametrize("between", ["lib", "lib.sub", "compat", "stars"])
def test_functions_that_another_module_imports_are_known_for_what_they_give(
    tmp_path, between, whole
):
    folder = write(tmp_path, lib_helpers=HELPERS, use=HELPERS_USED.replace("lib", between))
    (folder / "lib/__init__.py").write_text("from .helpers import begin, get\n")
    (folder / "lib/sub").mkdir()
    (folder / "lib/sub/__init__.py").write_text("from .. import begin, get\n")
    (folder / "compat.py").write_text("from lib.helpers import begin, get\n")
    (folder / "stars.py").write_text("from lib.helpers import *\n")
    found = analyse([str(folder if whole else folder / "use.py")], DEFAULTS)
    assert messages(found, "use") == []
    after = found.after[str(folder / "use.py")]
    assert b"one.set_attribute" in after
    assert b'.get().start_span("a").end()' in after


def test_a_package_that_lies_in_another_folder_of_the_repository_is_known(tmp_path):
    folder = write(
        tmp_path, use=HELPERS_USED.replace("set_tag", "log_kv").replace('"size", 1', "{}")
    )
    package = folder / "libs/lib/lib"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from lib.helpers import begin, get\n")
    (package / "helpers.py").write_text(dedent(HELPERS))
    (folder / "service").mkdir()
    (folder / "use.py").rename(folder / "service/use.py")
    found = analyse([str(folder)], DEFAULTS)
    assert messages(found, "use") == []
    assert b'lib.get().start_span("a").end()' in found.after[str(folder / "service/use.py")]


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "one-file"])
@pytest.mark.parametrize("kept", ["request.span", "request['span']"])
def test_a_span_kept_on_a_foreign_object_is_known_where_nothing_is_imported(tmp_path, kept, whole):
    folder = write(
        tmp_path,
        middleware="import opentracing\n\n\ndef before(request):\n"
        f"    {kept} = opentracing.tracer.start_span('a')\n",
        view=f"def view(request):\n    one = {kept}\n    one.set_tag('a', 1)\n",
        other="def view(request):\n    span = request.other\n    span.set_tag('a', 1)\n",
    )
    found = analyse([str(folder if whole else folder / "view.py")], DEFAULTS)
    assert changed(found) == ({"middleware", "view"} if whole else {"view"})
    assert b"one.set_attribute" in found.after[str(folder / "view.py")]


OWN_MOCK = """\
    import opentracing

    class Recorder(opentracing.Tracer):
        def finished_spans(self):
            return self.spans

        def reset(self):
            self.spans = []
    """


def test_a_mock_tracer_of_the_projects_own_is_one(tmp_path: Path) -> None:
    tests = "from mock import Recorder\n\ntracer = Recorder()\nprint(tracer.finished_spans())\n"
    analysis = analyse([str(write(tmp_path, mock=OWN_MOCK, use=tests))], DEFAULTS)
    after = analysis.after[str(tmp_path / "use.py")].decode()
    assert "exporter = InMemorySpanExporter()" in after
    assert "print(list(exporter.get_finished_spans()))" in after
    assert changed(analysis) == {"use"}


def test_a_scope_that_another_file_throws_away_holds_the_function_that_gives_it(
    tmp_path: Path,
) -> None:
    maker = (
        "import opentracing\n\ndef start():\n    return opentracing.tracer.start_active_span('a')\n"
    )
    use = "from maker import start\n\ndef install():\n    start()\n"
    found = analyse([str(write(tmp_path, maker=maker, use=use))], DEFAULTS)
    assert changed(found) == set()
    reasons = [finding.waits_for for finding in found.findings[str(tmp_path / "maker.py")]]
    assert "line 4 of use (by hand)" in reasons


FACTORY = """\
    import opentracing

    class Wrapped(opentracing.Tracer):
        def start_active_span(self, operation_name, **arguments):
            return self.own.start(operation_name)

    def make():
        return Wrapped()
    """


def test_a_function_that_gives_a_tracer_of_the_projects_own_class_is_known(tmp_path: Path) -> None:
    use = """\
    import opentracing
    from factory import make

    class Worker:
        def __init__(self):
            self.tracer = make()

        def work(self):
            with self.tracer.start_active_span("a") as scope:
                scope.span.set_tag("size", opentracing.Format.TEXT_MAP)
    """
    found = analyse([str(write(tmp_path, factory=FACTORY, use=use))], DEFAULTS)
    assert b"start_active_span" in found.after[str(tmp_path / "use.py")]
    assert any("derives from a legacy class" in one for one in messages(found, "use"))


UNSAFE_FIXTURE = """\
    import pytest
    from jaeger_client import Tracer

    @pytest.fixture
    def tracer():
        return Tracer(service_name="a", reporter=None, sampler=None)
    """


def test_a_fixture_rewritten_by_unsafe_gets_its_start_calls_in_the_same_run(tmp_path: Path) -> None:
    use = """\
    import opentracing

    def test_debug(tracer):
        span = tracer.start_span(operation_name="a")
        assert span.is_debug()
    """
    folder = write(tmp_path, conftest=UNSAFE_FIXTURE, test_use=use)
    unsafe = replace(DEFAULTS, unsafe=True)
    found = analyse([str(folder)], unsafe)
    assert b'tracer.start_span("a")' in found.after[str(folder / "test_use.py")]
    for path, after in found.after.items():
        Path(path).write_bytes(after)
    assert analyse([str(folder)], unsafe).after == {}


def test_a_copy_of_a_legacy_library_goes_on_lending_its_names(tmp_path: Path) -> None:
    package = tmp_path / "opentracing/mocktracer"
    package.mkdir(parents=True)
    (tmp_path / "opentracing/__init__.py").write_text("")
    (package / "__init__.py").write_text("from opentracing.mocktracer.tracer import MockTracer\n")
    (package / "tracer.py").write_text("from opentracing import Tracer\n\nMockTracer = Tracer\n")
    use = """\
    from opentracing import Format
    from opentracing.mocktracer import MockTracer

    class Mine(MockTracer):
        format = Format.TEXT_MAP
    """
    found = analyse([str(write(tmp_path, use=use))], DEFAULTS)
    lines = found.after[str(tmp_path / "use.py")].decode().splitlines()
    assert lines[0] == "from opentracing.mocktracer import MockTracer"
