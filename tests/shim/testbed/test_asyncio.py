"""asyncio: with AsyncioScopeManager tasks inherit nothing, with contextvars they do."""

from __future__ import annotations

import asyncio
import inspect

import pytest
from opentelemetry import context as otel_context
from opentracing import Format
from opentracing.scope_managers.asyncio import AsyncioScopeManager
from opentracing.scope_managers.contextvars import ContextVarsScopeManager, no_parent_scope

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

MANAGERS = {
    "asyncio": AsyncioScopeManager,
    "contextvars": ContextVarsScopeManager,
    "our manager": lambda: None,
}
INHERITING = {name: MANAGERS[name] for name in ("contextvars", "our manager")}


def scenario(test):
    """Runs a coroutine test in a loop of its own, started in a context of its own."""

    def run(**fixtures):
        token = otel_context.attach(otel_context.Context())
        try:
            asyncio.run(test(**fixtures))
        finally:
            otel_context.detach(token)

    run.__name__ = test.__name__
    run.__signature__ = inspect.signature(test)
    return run


async def until(condition):
    while not condition():
        await asyncio.sleep(0.001)


@pytest.fixture(params=MANAGERS)
def tracer(request):
    return tracer_with(MANAGERS[request.param]())


@pytest.fixture(params=INHERITING)
def inheriting(request):
    """A tracer whose spans are active in the tasks and callbacks they start."""
    return tracer_with(INHERITING[request.param]())


@scenario
async def test_active_span_replacement(tracer):
    initial = tracer.start_span("initial")

    async def task():
        with tracer.start_active_span("task"):
            with tracer.scope_manager.activate(initial, True):
                pass
            with tracer.start_active_span("subtask"):
                pass

    await asyncio.create_task(task())
    first, subtask, main = finished(tracer)
    assert names(tracer) == ["initial", "subtask", "task"]
    assert is_child(subtask, main)
    assert is_root(first)
    assert not same_trace(first, main)


@scenario
async def test_client_server(tracer):
    wire = asyncio.Queue()

    async def server():
        context = tracer.extract(Format.TEXT_MAP, await wire.get())
        with tracer.start_active_span("receive", child_of=context):
            pass

    serving = asyncio.create_task(server())
    with tracer.start_active_span("send") as scope:
        message = {}
        tracer.inject(scope.span.context, Format.TEXT_MAP, message)
        await wire.put(message)
    await serving
    spans = by_name(tracer)
    assert is_child(spans["receive"], spans["send"])


async def send(handler):
    request = {}

    async def before():
        handler.before(request)

    async def after():
        handler.after(request)

    await asyncio.create_task(before())
    await asyncio.create_task(after())


@scenario
async def test_two_requests_are_two_traces(tracer):
    handler = RequestHandler(tracer)
    await asyncio.gather(send(handler), send(handler))
    first, second = finished(tracer)
    assert is_root(first)
    assert is_root(second)
    assert not same_trace(first, second)


@scenario
async def test_the_callers_span_is_not_picked(tracer):
    with tracer.start_active_span("parent"):
        await send(RequestHandler(tracer))
    spans = by_name(tracer)
    assert not is_child(spans["send"], spans["parent"])


@scenario
async def test_a_parent_given_once_stays_for_all_requests(tracer):
    with tracer.start_active_span("parent") as scope:
        handler = RequestHandler(tracer, scope.span.context)
        await send(handler)
    await send(handler)
    first, parent, second = finished(tracer)
    assert is_child(first, parent)
    assert is_child(second, parent)


@scenario
async def test_the_active_span_is_the_parent_of_each_request(inheriting):
    handler = RequestHandler(inheriting, ignore_active_span=False)
    with inheriting.start_active_span("parent"):
        await send(handler)
    await send(handler)
    first, parent, second = finished(inheriting)
    assert is_child(first, parent)
    assert is_root(second)


@scenario
async def test_late_span_finish(tracer):
    parent = tracer.start_span("parent")

    async def task(name, seconds):
        with tracer.scope_manager.activate(parent, False), tracer.start_active_span(name):
            await asyncio.sleep(seconds)

    await asyncio.gather(task("task1", 0.01), task("task2", 0.03))
    parent.finish()
    assert names(tracer) == ["task1", "task2", "parent"]
    first, second, last = finished(tracer)
    assert is_child(first, last)
    assert is_child(second, last)


@scenario
async def test_listener_per_request(tracer):
    span = tracer.start_span("send", tags={"span.kind": "client"})

    async def respond(listener):
        listener()

    await asyncio.create_task(respond(span.finish))
    assert names(tracer) == ["send"]


@scenario
async def test_multiple_callbacks(tracer):
    with tracer.start_active_span("parent", finish_on_close=False) as scope:
        countdown = Countdown(scope.span, 3)

        async def task():
            with tracer.scope_manager.activate(scope.span, False):
                with tracer.start_active_span("task"):
                    await asyncio.sleep(0.01)
                countdown.done()

        await asyncio.gather(*(task() for _ in range(3)))
    *tasks, parent = finished(tracer)
    assert names(tracer) == ["task", "task", "task", "parent"]
    assert all(is_child(task, parent) for task in tasks)


@scenario
async def test_nested_callbacks(tracer):
    with tracer.start_active_span("one", finish_on_close=False) as scope:
        span = scope.span

        async def task(number):
            with tracer.scope_manager.activate(span, number == 3):
                assert tracer.active_span is span
                tracer.active_span.set_tag(f"key{number}", str(number))
                if number < 3:
                    tasks.append(asyncio.create_task(task(number + 1)))

        tasks = [asyncio.create_task(task(1))]
    await until(lambda: finished(tracer))
    (one,) = finished(tracer)
    assert {"key1", "key2", "key3"} <= {tag.key for tag in one.tags}


@scenario
async def test_subtask_span_propagation(tracer):
    async def child():
        with tracer.start_active_span("child"):
            return "response"

    with tracer.start_active_span("parent"):
        assert await child() == "response"
    inner, outer = finished(tracer)
    assert is_child(inner, outer)


@scenario
async def test_nested_tasks_inherit(inheriting):
    tasks = []

    async def task(span, number):
        assert inheriting.active_span is span
        span.set_tag(f"key{number}", str(number))
        if number < 3:
            tasks.append(asyncio.create_task(task(span, number + 1)))
        else:
            span.finish()

    with inheriting.start_active_span("one", finish_on_close=False) as scope:
        tasks.append(asyncio.create_task(task(scope.span, 1)))
    await until(lambda: finished(inheriting))
    assert names(inheriting) == ["one"]


@scenario
async def test_schedule_callbacks(inheriting):
    loop = asyncio.get_running_loop()

    def callback(name):
        with inheriting.start_active_span(name):
            pass

    def nested(name):
        with inheriting.start_active_span(name):
            loop.call_soon(callback, f"child of {name}")

    with inheriting.start_active_span("root"):
        loop.call_soon(nested, "first")
        loop.call_soon(callback, "second")
    await until(lambda: len(finished(inheriting)) == 4)
    spans = by_name(inheriting)
    assert is_child(spans["first"], spans["root"])
    assert is_child(spans["second"], spans["root"])
    assert is_child(spans["child of first"], spans["first"])


@scenario
async def test_coroutines_schedule_callbacks(inheriting):
    loop = asyncio.get_running_loop()

    def callback(name):
        with inheriting.start_active_span(name):
            pass

    async def task(name):
        with inheriting.start_active_span(name):
            loop.call_later(0.01, callback, f"child of {name}")

    with inheriting.start_active_span("root"):
        tasks = [asyncio.create_task(task(name)) for name in ("one", "two")]
    await until(lambda: len(finished(inheriting)) == 5)
    spans = by_name(inheriting)
    for name in ("one", "two"):
        assert is_child(spans[name], spans["root"])
        assert is_child(spans[f"child of {name}"], spans[name])
    assert all(task.done() for task in tasks)


@scenario
async def test_coroutines_schedule_tasks(inheriting):
    tasks = []

    async def inner(name):
        await asyncio.sleep(0.01)
        with inheriting.start_active_span(name):
            pass

    async def outer(name):
        with inheriting.start_active_span(name):
            tasks.append(asyncio.create_task(inner(f"child of {name}")))

    with inheriting.start_active_span("root"):
        tasks += [asyncio.create_task(outer(name)) for name in ("one", "two")]
    await until(lambda: len(finished(inheriting)) == 5)
    spans = by_name(inheriting)
    for name in ("one", "two"):
        assert is_child(spans[name], spans["root"])
        assert is_child(spans[f"child of {name}"], spans[name])


@scenario
async def test_recursive_scheduling(inheriting):
    tasks = []

    async def task(number):
        await asyncio.sleep(0.001)
        with inheriting.start_active_span(str(number)):
            if number < 4:
                tasks.append(asyncio.create_task(task(number + 1)))

    tasks.append(asyncio.create_task(task(0)))
    await until(lambda: len(finished(inheriting)) == 5)
    spans = finished(inheriting)
    assert is_root(spans[0])
    assert all(is_child(spans[i + 1], spans[i]) for i in range(4))


@scenario
async def test_recursive_scheduling_with_ignore_active_span(inheriting):
    tasks = []

    async def task(number):
        await asyncio.sleep(0.001)
        if number < 4:
            with inheriting.start_active_span(str(number), ignore_active_span=number >= 2):
                tasks.append(asyncio.create_task(task(number + 1)))

    tasks.append(asyncio.create_task(task(0)))
    await until(lambda: len(finished(inheriting)) == 4)
    first, second, third, fourth = finished(inheriting)
    assert is_root(first)
    assert is_child(second, first)
    assert is_root(third)
    assert is_root(fourth)


@pytest.fixture
def contextvars_tracer():
    """`no_parent_scope` speaks to ContextVarsScopeManager only, as its name says."""
    return tracer_with(ContextVarsScopeManager())


def check_second_is_root(tracer):
    spans = by_name(tracer)
    assert is_child(spans["1"], spans["root"])
    assert is_root(spans["2"])
    assert is_child(spans["3"], spans["root"])


@scenario
async def test_tasks_with_no_parent_scope(contextvars_tracer):
    tracer = contextvars_tracer

    async def task(name):
        await asyncio.sleep(0.001)
        with tracer.start_active_span(name):
            await asyncio.sleep(0.001)

    with tracer.start_active_span("root"):
        tasks = [asyncio.create_task(task("1"))]
        with no_parent_scope():
            tasks.append(asyncio.create_task(task("2")))
        tasks.append(asyncio.create_task(task("3")))
    await asyncio.gather(*tasks)
    check_second_is_root(tracer)


@scenario
async def test_callbacks_with_no_parent_scope(contextvars_tracer):
    tracer = contextvars_tracer
    loop = asyncio.get_running_loop()

    def callback(name):
        with tracer.start_active_span(name):
            pass

    with tracer.start_active_span("root"):
        loop.call_soon(callback, "1")
        with no_parent_scope():
            loop.call_soon(callback, "2")
        loop.call_soon(callback, "3")
    await until(lambda: len(finished(tracer)) == 4)
    check_second_is_root(tracer)


@scenario
async def test_await_with_no_parent_scope(contextvars_tracer):
    tracer = contextvars_tracer

    async def work(name):
        with tracer.start_active_span(name):
            pass

    with tracer.start_active_span("root"):
        await work("1")
        with no_parent_scope():
            await work("2")
        await work("3")
    check_second_is_root(tracer)
