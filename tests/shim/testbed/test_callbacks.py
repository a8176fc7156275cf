"""Threads and greenlets: nothing is inherited, a span is activated where it is used."""

from __future__ import annotations

import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import gevent
import pytest
from opentracing import Format
from opentracing.scope_managers import ThreadLocalScopeManager
from opentracing.scope_managers.gevent import GeventScopeManager

from tests.shim.testbed import (
    Countdown,
    RequestHandler,
    by_name,
    finished,
    is_child,
    is_root,
    names,
    same_trace,
    tracer_with,
)


class Threads:
    def __init__(self):
        self.executor = ThreadPoolExecutor(max_workers=3)
        self.submitted = []

    def submit(self, function, *args):
        future = self.executor.submit(function, *args)
        self.submitted.append(future)
        return future.result

    def join(self):
        for future in self.submitted:  # grows while callbacks submit more
            future.result(5)

    sleep = staticmethod(time.sleep)


class Greenlets:
    def __init__(self):
        self.submitted = []

    def submit(self, function, *args):
        greenlet = gevent.spawn(function, *args)
        self.submitted.append(greenlet)
        return greenlet.get

    def join(self):
        for greenlet in self.submitted:
            greenlet.get(timeout=5)

    sleep = staticmethod(gevent.sleep)


WORLDS = {
    "threads": (Threads, ThreadLocalScopeManager),
    "gevent": (Greenlets, GeventScopeManager),
    "threads, our manager": (Threads, lambda: None),
    "gevent, our manager": (Greenlets, lambda: None),
}


@pytest.fixture(params=WORLDS, autouse=True)
def world_and_tracer(request):
    world, manager = WORLDS[request.param]
    return world(), tracer_with(manager())


@pytest.fixture
def world(world_and_tracer):
    return world_and_tracer[0]


@pytest.fixture
def tracer(world_and_tracer):
    return world_and_tracer[1]


def test_active_span_replacement(world, tracer):
    initial = tracer.start_span("initial")

    def task():
        with tracer.start_active_span("task"):
            with tracer.scope_manager.activate(initial, True):
                pass
            with tracer.start_active_span("subtask"):
                pass

    world.submit(task)
    world.join()
    assert names(tracer) == ["initial", "subtask", "task"]
    first, subtask, main = finished(tracer)
    assert is_child(subtask, main)
    assert is_root(first)
    assert not same_trace(first, main)


def test_client_server(world, tracer):
    wire = queue.Queue()

    def server():
        context = tracer.extract(Format.TEXT_MAP, wire.get(timeout=5))
        with tracer.start_active_span("receive", child_of=context, tags={"span.kind": "server"}):
            pass

    with tracer.start_active_span("send", tags={"span.kind": "client"}) as scope:
        message = {}
        tracer.inject(scope.span.context, Format.TEXT_MAP, message)
        wire.put(message)
    world.submit(server)
    world.join()
    spans = by_name(tracer)
    assert is_child(spans["receive"], spans["send"])
    assert spans["receive"].is_rpc()
    assert spans["send"].is_rpc_client()


class TestCommonRequestHandler:
    def send(self, world, handler):
        request = {}
        world.submit(handler.before, request)()
        world.submit(handler.after, request)()

    def test_two_requests_are_two_traces(self, world, tracer):
        handler = RequestHandler(tracer)
        for _ in range(2):
            world.submit(self.send, world, handler)
        world.join()
        first, second = finished(tracer)
        assert is_root(first)
        assert is_root(second)
        assert not same_trace(first, second)

    def test_the_callers_span_is_not_picked(self, world, tracer):
        with tracer.start_active_span("parent"):
            self.send(world, RequestHandler(tracer))
        spans = by_name(tracer)
        assert not is_child(spans["send"], spans["parent"])

    def test_a_parent_given_once_stays_for_all_requests(self, world, tracer):
        with tracer.start_active_span("parent") as scope:
            handler = RequestHandler(tracer, scope.span.context)
            self.send(world, handler)
        self.send(world, handler)
        first, parent, second = finished(tracer)
        assert is_child(first, parent)
        assert is_child(second, parent)


def test_late_span_finish(world, tracer):
    parent = tracer.start_span("parent")

    def task(name, seconds):
        with tracer.scope_manager.activate(parent, False), tracer.start_active_span(name):
            world.sleep(seconds)

    world.submit(task, "task1", 0.01)
    world.submit(task, "task2", 0.05)
    world.join()
    parent.finish()
    assert names(tracer) == ["task1", "task2", "parent"]
    first, second, last = finished(tracer)
    assert is_child(first, last)
    assert is_child(second, last)
    assert second.end_time <= last.end_time


def test_listener_per_request(world, tracer):
    span = tracer.start_span("send", tags={"span.kind": "client"})
    world.submit(lambda listener: listener(), span.finish)
    world.join()
    assert names(tracer) == ["send"]


def test_multiple_callbacks(world, tracer):
    with tracer.start_active_span("parent", finish_on_close=False) as scope:
        countdown = Countdown(scope.span, 4)
        lock = threading.Lock()

        def task():
            with tracer.scope_manager.activate(scope.span, False):
                with tracer.start_active_span("task"):
                    world.sleep(0.01)
                with lock:
                    countdown.done()

        for _ in range(3):
            world.submit(task)
    with lock:
        countdown.done()
    world.join()
    *tasks, parent = finished(tracer)
    assert names(tracer) == ["task", "task", "task", "parent"]
    assert all(is_child(task, parent) for task in tasks)


def test_nested_callbacks(world, tracer):
    with tracer.start_active_span("one", finish_on_close=False) as scope:
        span = scope.span

        def task(number):
            with tracer.scope_manager.activate(span, number == 3):
                tracer.active_span.set_tag(f"key{number}", str(number))
                if number < 3:
                    world.submit(task, number + 1)

        world.submit(task, 1)
    world.join()
    (one,) = finished(tracer)
    assert {tag.key: tag.vStr for tag in one.tags if tag.key.startswith("key")} == {
        "key1": "1",
        "key2": "2",
        "key3": "3",
    }


def test_subtask_span_propagation(world, tracer):
    def child(span):
        with tracer.scope_manager.activate(span, False), tracer.start_active_span("child"):
            return "response"

    def parent():
        with tracer.start_active_span("parent") as scope:
            return world.submit(child, scope.span)()

    assert world.submit(parent)() == "response"
    inner, outer = finished(tracer)
    assert is_child(inner, outer)
