"""Families that come as before: the short way gives what the rules give, and knows its place."""

from __future__ import annotations

import os
import random

import pytest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.samples import Exemplar, Sample

from bridge.metrics import again, encoder
from tests.bridge.metrics.helpers import (
    SPAN_ID,
    TRACE_ID,
    Pushes,
    attributes_of,
)

RUNS = int(os.environ.get("METRICS_PROPERTY_RUNS", "60"))
NAN, INF = float("nan"), float("inf")
NOTED = Exemplar({"trace_id": TRACE_ID, "span_id": SPAN_ID}, 0.3, 1_700_000_000.5)


def counter(*samples):
    found = CounterMetricFamily("jobs", "Jobs", labels=["a"])
    found.samples = [Sample("jobs_" + suffix, labels, value) for suffix, labels, value in samples]
    return found


def histogram(*series, les=("0.1", "1", "+Inf")):
    """Of (label, cumulative values) pairs, laid out as prometheus_client does."""
    found = HistogramMetricFamily("t", "Time", labels=["a"])
    for label, values in series:
        found.add_metric([label], list(zip(les, values, strict=True)), sum_value=2.5)
    return found


def by_rules(pushes, *families):
    """What a push says when nothing takes the short way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder, "usual_metric", lambda _: None)
        return pushes.push(*families)


def points_of(metrics):
    """All points of a push; their order says nothing."""
    return {
        name: sorted(point.SerializeToString(deterministic=True) for point in data(metric))
        for name, metric in metrics.items()
    }


def data(metric):
    return getattr(metric, metric.WhichOneof("data")).data_points


class Taken:
    """Counts the samples that were left to the rules."""

    def __init__(self, monkeypatch):
        self.left = 0
        convert = encoder.convert

        def counted(family, now, problems):
            self.left += len(family.samples)
            return convert(family, now, problems)

        monkeypatch.setattr(encoder, "convert", counted)


def left_in_second_push(monkeypatch, first, second):
    pushes = Pushes()
    pushes.push(first)
    taken = Taken(monkeypatch)
    pushes.push(second)
    return taken.left


TWO = (("x", (1, 2, 3)), ("y", (0, 0, 1)))


def test_what_comes_again_leaves_nothing_to_the_rules(monkeypatch):
    totals = counter(("total", {"a": "x"}, 1), ("total", {"a": "y"}, 2))
    assert left_in_second_push(monkeypatch, totals, totals) == 0


def test_counters_with_created_leave_nothing(monkeypatch):
    totals = counter(("total", {"a": "x"}, 1), ("created", {"a": "x"}, 5.5))
    assert left_in_second_push(monkeypatch, totals, totals) == 0


def test_empty_labels_leave_nothing(monkeypatch):
    totals = counter(("total", {"a": "x", "b": ""}, 1))
    assert left_in_second_push(monkeypatch, totals, totals) == 0


def test_a_new_counter_leaves_only_itself(monkeypatch):
    first = counter(("total", {"a": "x"}, 1))
    both = counter(("total", {"a": "x"}, 1), ("total", {"a": "y"}, 2))
    assert left_in_second_push(monkeypatch, first, both) == 1


def test_a_counter_that_fell_leaves_its_family(monkeypatch):
    first = counter(("total", {"a": "x"}, 1), ("total", {"a": "y"}, 2))
    fell = counter(("total", {"a": "x"}, 1), ("total", {"a": "y"}, 1))
    assert left_in_second_push(monkeypatch, first, fell) == 2


def test_a_fall_is_seen_after_pushes_that_left_nothing():
    pushes = Pushes()
    for value in (1, 5, 9, 7):
        found = pushes.push(counter(("total", {"a": "x"}, value)))["jobs_total"]
    assert data(found)[0].start_time_unix_nano == pushes.now - 1_000_000_000


def test_a_family_that_comes_twice_in_a_push_is_sent_once():
    pushes = Pushes()
    family = counter(("total", {"a": "x"}, 1))
    for _ in range(3):
        assert len(data(pushes.push(family, family)["jobs_total"])) == 1


def test_a_series_that_comes_twice_in_a_family_is_sent_once():
    pushes = Pushes()
    family = counter(("total", {"a": "x"}, 1), ("total", {"a": "x"}, 2))
    for _ in range(3):
        (point,) = data(pushes.push(family)["jobs_total"])
        assert point.as_double == 1


def test_gauges_leave_nothing_where_counts_have_a_default_start(monkeypatch):
    pushes = Pushes()
    pushes.encoder.default_start = 5
    family = GaugeMetricFamily("level", "Level", 1.5)
    pushes.push(family)
    taken = Taken(monkeypatch)
    pushes.push(family)
    assert taken.left == 0


def test_exemplars_leave_nothing(monkeypatch):
    family = CounterMetricFamily("jobs", "Jobs")
    family.samples = [Sample("jobs_total", {}, 1, None, NOTED)]
    assert left_in_second_push(monkeypatch, family, family) == 0


def test_histograms_leave_nothing(monkeypatch):
    assert left_in_second_push(monkeypatch, histogram(*TWO), histogram(*TWO)) == 0


def test_one_histogram_that_fell_is_left_alone(monkeypatch):
    fell = histogram(TWO[0], ("y", (0, 0, 0)))
    assert left_in_second_push(monkeypatch, histogram(*TWO), fell) == 5


def test_a_histogram_with_other_bounds_is_left(monkeypatch):
    other = histogram(*TWO, les=("0.2", "1", "+Inf"))
    assert left_in_second_push(monkeypatch, histogram(*TWO), other) == 10


def test_histograms_after_a_new_one_are_taken_again(monkeypatch):
    pushes = Pushes()
    pushes.push(histogram(TWO[1]))
    pushes.push(histogram(*TWO))
    taken = Taken(monkeypatch)
    found = pushes.push(histogram(*TWO))["t"]
    assert taken.left == 0
    assert [list(p.bucket_counts) for p in data(found)] == [[1, 1, 1], [0, 0, 1]]


def test_a_series_that_ended_and_came_back_is_not_lost():
    pushes = Pushes()
    both = counter(("total", {"a": "x"}, 1), ("total", {"a": "y"}, 2))
    for family in (both, counter(("total", {"a": "x"}, 1)), both):
        found = pushes.push(family)["jobs_total"]
    assert [attributes_of(p)["a"] for p in data(found)] == ["x", "y"]
    ended = pushes.push(counter(("total", {"a": "x"}, 1)))["jobs_total"]
    assert [p.flags for p in data(ended)] == [0, 1]


def test_a_collector_may_use_one_dict_for_all_its_samples():
    labels = {"a": "x"}
    pushes = Pushes()
    pushes.push(counter(("total", labels, 1)))
    labels["a"] = "y"
    found = pushes.push(counter(("total", labels, 1)))["jobs_total"]
    assert [(attributes_of(p)["a"], p.flags) for p in data(found)] == [("y", 0), ("x", 1)]


def test_created_samples_apart_from_their_counters_are_the_rules_affair():
    pushes = Pushes()
    plain = [("total", {"a": "x"}, 1), ("total", {"a": "y"}, 2)]
    created = [("created", {"a": "x"}, 5), ("created", {"a": "y"}, 6)]
    for samples in (plain, plain, plain + created):
        found = pushes.push(counter(*samples))["jobs_total"]
    assert [p.start_time_unix_nano for p in data(found)] == [5 * 10**9, 6 * 10**9]


@pytest.mark.parametrize("rubbish", [None, 5, (), ("jobs_total",), "jobs_total"])
def test_rubbish_among_samples_loses_nothing_else(rubbish):
    pushes = Pushes()
    for _ in range(3):
        family = counter(("total", {"a": "x"}, 1), ("total", {"a": "y"}, 2))
        family.samples.insert(1, rubbish)
        assert len(data(pushes.push(family)["jobs_total"])) == 2


@pytest.mark.parametrize("odd", [None, "3", NAN, -1, 10**400, [1]])
@pytest.mark.parametrize("at", range(5))
def test_an_odd_value_is_the_rules_affair(at, odd):
    short, rules = Pushes(), Pushes()
    for _ in range(2):
        assert points_of(short.push(histogram(*TWO))) == points_of(by_rules(rules, histogram(*TWO)))
    family = histogram(*TWO)
    family.samples[at] = family.samples[at]._replace(value=odd)
    assert points_of(short.push(family)) == points_of(by_rules(rules, family))


def random_family(shape: random.Random, chance: random.Random):
    """`shape` decides what does not change between most pushes, `chance` the rest."""
    kind = shape.choice(["counter", "gauge", "histogram"])
    labels = shape.sample(["x", "y", "z", "", "ü"], 3)
    created, noted = shape.choice([None, None, 5.5, 6]), shape.choice([None, None, NOTED])
    les = shape.choice([("0.1", "1", "+Inf")] * 4 + [("1", "0.1", "+Inf"), ("0.1", "1", "2")])
    shuffled = shape.random() < 0.1
    if kind == "gauge":
        family = GaugeMetricFamily("level", "", labels=["a"])
        for label in labels:
            family.add_metric([label], number(chance), timestamp=chance.choice([None] * 5 + [17]))
    elif kind == "counter":
        family = CounterMetricFamily("jobs", "", labels=["a", "b"])
        for label in labels:
            family.add_metric([label, "k"], number(chance), created=created, exemplar=noted)
    else:
        family = HistogramMetricFamily("t", "", labels=["a"])
        for label in labels:
            odd = chance.random() < 0.1
            counts = [number(chance) if odd else n for n in (1, 2, chance.choice([2, 5]))]
            buckets = [(le, n, noted) for le, n in zip(les, counts, strict=True)]
            family.add_metric([label], buckets, 1.5)
            if created:
                family.samples.append(Sample("t_created", {"a": label}, created))
    if shuffled:
        chance.shuffle(family.samples)
    return family


def number(chance: random.Random) -> float:
    return chance.choice([9] * 60 + [0, 1, 2.0, 3.5, 7, 11, NAN, INF, -1])


def random_pushes(seed: int):
    chance = random.Random(seed)
    for number in range(20):
        shape = random.Random(seed * 100 + number // 4)
        found = [random_family(shape, chance) for _ in range(3)]
        yield list({family.name: family for family in found}.values())


@pytest.mark.parametrize("seed", range(RUNS))
def test_the_short_way_says_what_the_rules_say(seed):
    short, rules = Pushes(), Pushes()
    for families in random_pushes(seed):
        assert points_of(short.push(*families)) == points_of(by_rules(rules, *families))


@pytest.mark.parametrize("way", ["numbers", "histograms"])
def test_most_random_families_have_a_short_way(monkeypatch, way):
    """Otherwise the comparison above would compare the rules with themselves."""
    original, taken = getattr(again, way), []
    monkeypatch.setattr(encoder, way, lambda *a: taken.append(found := original(*a)) or found)
    pushes = Pushes()
    for families in random_pushes(1):
        pushes.push(*families)
    assert sum(bool(points) for points, _ in taken) > len(taken) / 3
