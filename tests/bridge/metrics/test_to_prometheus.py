"""Table 1b, rule by rule: what a scraper sees of OpenTelemetry instruments."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as parse_text

from bridge.metrics.exposition import OPENMETRICS, TEXT, Format, render
from bridge.metrics.names import Translation
from bridge.metrics.problems import Problems
from bridge.metrics.sdk import BridgeReader
from bridge.metrics.to_prometheus import (
    Options,
    Shown,
    Translator,
    classic_buckets,
    value_text,
)

TRACER = TracerProvider().get_tracer("test")


PLAIN = Options(scope_labels=False, target_info=False)


class Service:
    """A meter provider, and scrapes of it."""

    def __init__(self, options: Options = PLAIN, **sdk):
        self.problems = Problems()
        self.reader = BridgeReader(self.problems, sdk.pop("aggregation", None))
        sdk.setdefault("resource", Resource({"service.name": "shop"}))
        self.provider = MeterProvider(metric_readers=[self.reader], shutdown_on_exit=False, **sdk)
        self.meter = self.provider.get_meter("lib", "1.0", "http://schema", {"team": "core"})
        self.translator = Translator(options, self.problems)

    def scrape(self, format_: Format = OPENMETRICS) -> str:
        shown = Shown(self.problems)
        data = self.reader.read()
        if data is not None:
            self.translator.show(data, shown, self.reader.exemplars)
        text = render(shown, format_, self.problems).decode()
        list((text_string_to_metric_families if format_.openmetrics else parse_text)(text))
        return text

    def lines(self, format_: Format = OPENMETRICS) -> list[str]:
        return [line for line in self.scrape(format_).splitlines() if line[0] != "#"]


def test_an_empty_service_is_an_empty_scrape():
    assert Service().scrape() == "# EOF\n"
    assert Service().scrape(TEXT) == ""


def test_counter_gets_unit_and_total():
    service = Service()
    service.meter.create_counter("net.io", unit="By", description="Sent").add(3, {"a.b": "x"})
    assert service.scrape() == (
        "# HELP net_io_bytes Sent\n"
        "# TYPE net_io_bytes counter\n"
        "# UNIT net_io_bytes bytes\n"
        'net_io_bytes_total{a_b="x"} 3\n'
        "# EOF\n"
    )


def test_the_older_text_names_the_counter_with_total():
    service = Service()
    service.meter.create_counter("jobs").add(3)
    assert "# TYPE jobs_total counter\njobs_total 3\n" in service.scrape(TEXT)


def test_sums_that_may_fall_and_gauges_are_gauges():
    service = Service()
    service.meter.create_up_down_counter("open").add(-2)
    service.meter.create_gauge("load", unit="1").set(0.5)
    service.meter.create_observable_gauge("temp", [lambda _: [Observation(7)]], unit="Cel")
    text = service.scrape()
    assert "# TYPE open gauge\nopen -2\n" in text
    assert "load_ratio 0.5\n" in text
    assert "temp_celsius 7\n" in text


def test_histogram_has_cumulative_buckets_and_canonical_bounds():
    service = Service()
    histogram = service.meter.create_histogram(
        "t", unit="s", explicit_bucket_boundaries_advisory=[1, 5]
    )
    for value in (0.5, 1, 3, 9):
        histogram.record(value)
    assert service.lines() == [
        't_seconds_bucket{le="1.0"} 2',
        't_seconds_bucket{le="5.0"} 3',
        't_seconds_bucket{le="+Inf"} 4',
        "t_seconds_count 4",
        "t_seconds_sum 13.5",
    ]


def exponential(service_values) -> Service:
    service = Service(aggregation={Histogram: ExponentialBucketHistogramAggregation()})
    histogram = service.meter.create_histogram("t")
    for value in service_values:
        histogram.record(value)
    return service


def test_exponential_histogram_is_shown_with_classic_buckets():
    lines = exponential([0, 1, 1.5, 2, 1000]).lines()
    assert lines[0] == 't_bucket{le="0.0"} 1'
    assert 't_bucket{le="1.0"} 2' in lines
    assert 't_bucket{le="2.0"} 4' in lines
    assert 't_bucket{le="1024.0"} 5' in lines
    assert lines[-3:] == ['t_bucket{le="+Inf"} 5', "t_count 5", "t_sum 1004.5"]


def test_exponential_bounds_do_not_move_when_values_spread():
    service = exponential([1.1, 1.2])
    bounds = {line.split('"')[1] for line in service.lines() if "_bucket" in line}
    service.meter.create_histogram("t").record(1e9)
    assert bounds <= {line.split('"')[1] for line in service.lines() if "_bucket" in line}


@pytest.mark.parametrize(("scale", "offset"), [(20, 0), (3, -5), (0, 1), (-4, 0)])
def test_classic_buckets_keep_every_count(scale, offset):
    buckets = SimpleNamespace(offset=offset, bucket_counts=[1, 0, 2, 3])
    point = SimpleNamespace(scale=scale, zero_count=4, positive=buckets, negative=buckets)
    bounds, counts = classic_buckets(point)
    assert sum(counts) == 16
    assert bounds == sorted(bounds)
    assert len(counts) == len(bounds) + 1


def test_delta_is_dropped_and_counted():
    service = Service()
    service.meter.create_counter("jobs").add(1)
    data = service.reader.read()
    metric = data.resource_metrics[0].scope_metrics[0].metrics[0]
    object.__setattr__(metric.data, "aggregation_temporality", AggregationTemporality.DELTA)
    shown = Shown(service.problems)
    service.translator.show(data, shown, service.reader.exemplars)
    assert list(shown) == []
    assert service.problems.counts() == {"points dropped": 1}


def test_labels_that_become_one_are_joined_in_the_order_of_their_keys():
    service = Service()
    service.meter.create_counter("c").add(1, {"http_method": "POST", "http.method": "GET"})
    assert service.lines() == ['c_total{http_method="GET;POST"} 1']


def test_values_that_are_no_text_are_json():
    service = Service()
    service.meter.create_counter("c").add(1, {"ok": True, "n": 2, "list": ("é", "b")})
    assert service.lines() == ['c_total{list="[\\"é\\",\\"b\\"]",n="2",ok="true"} 1']


def test_labels_from_hell_are_escaped():
    service = Service()
    service.meter.create_counter("c").add(1, {"le": 'a"b', "quantile\n": "x\ny", "1st": "\\"})
    assert service.lines() == ['c_total{key_1st="\\\\",le="a\\"b",quantile_="x\\ny"} 1']


def test_a_label_le_makes_room_for_the_buckets_own():
    service = Service()
    service.meter.create_histogram("t", explicit_bucket_boundaries_advisory=[1]).record(
        0, {"le": "x"}
    )
    assert service.lines()[0] == 't_bucket{exported_le="x",le="1.0"} 1'


def test_scope_becomes_labels_and_wins():
    service = Service(Options(target_info=False))
    service.meter.create_counter("c").add(1, {"otel_scope_name": "mine"})
    assert service.lines() == [
        'c_total{otel_scope_team="core",otel_scope_name="lib",otel_scope_version="1.0",'
        'otel_scope_schema_url="http://schema"} 1'
    ]


def test_target_info_shows_the_resource_once():
    service = Service(Options(scope_labels=False))
    service.meter.create_counter("a").add(1)
    service.provider.get_meter("other").create_counter("b").add(1)
    assert service.scrape().count("target_info") == 1
    assert 'target_info{service_name="shop"} 1' in service.lines()
    assert "# TYPE target info\n" in service.scrape()
    assert "# TYPE target_info gauge\n" in service.scrape(TEXT)


def test_resource_attributes_become_labels_when_asked_for():
    service = Service(
        Options(scope_labels=False, target_info=False, resource_labels=frozenset({"service.name"}))
    )
    service.meter.create_counter("c").add(1)
    assert service.lines() == ['c_total{service_name="shop"} 1']


def test_created_lines_when_asked_for():
    service = Service(Options(scope_labels=False, target_info=False, created=True))
    service.meter.create_counter("c").add(1)
    service.meter.create_histogram("t").record(1)
    assert [line.split()[0] for line in service.lines() if "_created" in line] == [
        "c_created",
        "t_created",
    ]
    assert service.scrape(TEXT).count("# TYPE c_created gauge") == 1


def test_another_type_under_the_same_name_is_left_out_with_one_warning(caplog):
    service = Service()
    service.meter.create_counter("a.b").add(1)
    service.provider.get_meter("other").create_gauge("a_b").set(5)
    assert service.lines() == service.lines() == ["a_b_total 1"]
    assert service.problems.counts() == {"metric conflict": 2}
    assert len([r for r in caplog.records if "a_b" in r.message]) == 1


def test_a_name_that_is_anothers_sample_is_left_out():
    service = Service()
    service.meter.create_histogram("t").record(1)
    service.meter.create_gauge("t_count").set(5)
    assert "t_count 5" not in service.lines()


def test_another_help_keeps_the_first_and_all_points():
    service = Service(Options(target_info=False))
    service.meter.create_counter("c", description="First").add(1)
    service.provider.get_meter("other").create_counter("c", description="Second").add(2)
    text = service.scrape()
    assert text.count("# HELP") == text.count("# TYPE") == 1
    assert len(service.lines()) == 2


def test_the_same_series_of_two_scopes_is_shown_once():
    service = Service()
    service.meter.create_counter("c").add(1)
    service.provider.get_meter("other").create_counter("c").add(2)
    assert service.lines() == ["c_total 1"]
    assert service.problems.counts() == {"duplicate series": 1}


@pytest.mark.parametrize(
    ("translation", "line"),
    [
        (Translation.UNDERSCORES_WITH_SUFFIXES, 'a_b_bytes_total{k_l="v"} 1'),
        (Translation.UNDERSCORES_WITHOUT_SUFFIXES, 'a_b_total{k_l="v"} 1'),
        (Translation.UTF8_WITH_SUFFIXES, '{"a.b_bytes_total","k.l"="v"} 1'),
        (Translation.NONE, '{"a.b_total","k.l"="v"} 1'),
    ],
)
def test_translations_for_a_scraper_that_reads_utf8(translation, line):
    service = Service(Options(translation, scope_labels=False, target_info=False))
    service.meter.create_counter("a.b", unit="By").add(1, {"k.l": "v"})
    assert service.lines(Format(True, "1.0.0", "allow-utf-8")) == [line]


def test_utf8_names_are_escaped_for_a_scraper_that_does_not():
    service = Service(Options(Translation.NONE, scope_labels=False, target_info=False))
    service.meter.create_counter("a.b").add(1, {"k.l": "v"})
    assert service.lines() == ['a_b_total{k_l="v"} 1']
    assert service.lines(Format(True, "1.0.0", "dots")) == ['a_dot_b__total{k_dot_l="v"} 1']


def test_prometheus_type_says_what_a_gauge_was():
    service = Service()
    service.meter.create_gauge("g").set(1)
    data = service.reader.read()
    metric = data.resource_metrics[0].scope_metrics[0].metrics[0]
    object.__setattr__(metric, "metadata", {"prometheus.type": "unknown"})
    shown = Shown(service.problems)
    service.translator.show(data, shown, service.reader.exemplars)
    assert next(iter(shown)).type == "unknown"


def recorded_in_span(service: Service, record) -> str:
    with TRACER.start_as_current_span("s") as span:
        record()
    return f"{span.get_span_context().trace_id:032x}"


def test_counter_exemplar_survives_every_scraper():
    service = Service()
    counter = service.meter.create_counter("c")
    trace_id = recorded_in_span(service, lambda: counter.add(2))
    for _ in range(3):
        assert f'trace_id="{trace_id}"}} 2.0 ' in service.lines()[0]
    counter.add(5)  # outside of a span: no new exemplar
    assert trace_id in service.lines()[0]
    newer = recorded_in_span(service, lambda: counter.add(1))
    assert newer in service.lines()[0]


def test_histogram_keeps_the_latest_exemplar_of_each_bucket():
    service = Service()
    histogram = service.meter.create_histogram("t", explicit_bucket_boundaries_advisory=[1])
    low = recorded_in_span(service, lambda: histogram.record(0.5))
    service.scrape()
    high = recorded_in_span(service, lambda: histogram.record(5))
    first, last, *_ = service.lines()
    assert low in first
    assert high in last


def test_exponential_histogram_has_exemplars():
    service = Service(aggregation={Histogram: ExponentialBucketHistogramAggregation()})
    histogram = service.meter.create_histogram("t")
    trace_id = recorded_in_span(service, lambda: histogram.record(3))
    assert sum(trace_id in line for line in service.lines()) == 1


def test_gauges_have_no_exemplars_and_the_older_text_has_none():
    service = Service(exemplar_filter=AlwaysOnExemplarFilter())
    recorded_in_span(service, lambda: service.meter.create_gauge("g").set(1))
    recorded_in_span(service, lambda: service.meter.create_counter("c").add(1))
    assert " # " not in next(line for line in service.lines() if line.startswith("g"))
    assert " # " not in "".join(service.lines(TEXT))


def test_exemplar_attributes_only_where_they_fit():
    from opentelemetry.sdk.metrics.view import View

    service = Service(views=[View(instrument_name="*", attribute_keys=set())])
    short, long = service.meter.create_counter("short"), service.meter.create_counter("long")
    recorded_in_span(service, lambda: short.add(1, {"user.id": "7", "trace_id": "fake"}))
    recorded_in_span(service, lambda: long.add(1, {"user.id": "7" * 100}))
    by_name = {line.split("_")[0]: line for line in service.lines()}
    assert 'user_id="7"' in by_name["short"]
    assert "fake" not in by_name["short"]
    assert "user_id" not in by_name["long"]
    assert "trace_id" in by_name["long"]


def test_a_callback_that_reads_its_own_metrics_is_refused_not_waited_for():
    service = Service()
    service.meter.create_observable_gauge("g", [lambda _: [Observation(len(service.scrape()))]])
    assert service.lines() == ["g 6"]  # the inner scrape was empty: "# EOF\n"
    assert service.problems.counts()["loop refused"] > 0


def test_a_callback_that_fails_costs_no_other_metric():
    def broken(_):
        raise RuntimeError("secret")

    service = Service()
    service.meter.create_counter("c").add(1)
    service.meter.create_observable_gauge("g", [broken])
    assert "c_total 1" in service.lines()


VALUES = st.one_of(
    st.text(max_size=20).filter(lambda text: "\x00" not in text),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
)


@settings(max_examples=int(os.environ.get("METRICS_EXAMPLES", "60")), deadline=None)
@given(
    attributes=st.dictionaries(st.text(min_size=1, max_size=10), VALUES, max_size=5),
    value=st.floats(0, 1e300),
)
def test_any_attributes_come_back_from_a_parser(attributes, value):
    """Prometheus' own client library reads what we write: the same number, one line, all values."""
    service = Service()
    service.meter.create_counter("c").add(value, attributes)
    kept = dict(service.reader.read().resource_metrics[0].scope_metrics[0].metrics[0]
                .data.data_points[0].attributes)  # fmt: skip
    (family,) = text_string_to_metric_families(service.scrape())
    (sample,) = family.samples
    assert sample.value == value
    for original in kept.values():
        text = value_text(original).encode("utf-8", "replace").decode()
        assert any(text in label for label in sample.labels.values())
