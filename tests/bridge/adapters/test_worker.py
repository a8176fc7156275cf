import asyncio
import threading
import time

import pytest
from opentelemetry import trace

from bridge.adapters.errors import Forbidden, Unavailable
from bridge.adapters.metrics import Meters
from bridge.adapters.tracing import Tracing
from bridge.adapters.worker import AsyncWorker, Backoff, Delivery, Inbox, State, Supervisor, Worker
from tests.servers.process import wait_until
from tests.servers.watchers import no_leftovers


@pytest.fixture
def supervisor(telemetry):
    changes = []
    made = Supervisor(
        "consul heartbeat",
        Tracing("consul", tracer_provider=telemetry.tracer_provider),
        on_state=changes.append,
        give_up_on=(Forbidden,),
        backoff=Backoff(0.001, 0.004),
    )
    made.changes = changes
    return made


def states(supervisor):
    return [change.state for change in supervisor.changes]


def test_stop_before_start_is_nothing(supervisor):
    assert Worker(supervisor, lambda: 0.0).stop()


def test_good_steps_make_one_state_change_and_one_span(supervisor, telemetry):
    steps = []
    worker = Worker(supervisor, lambda: steps.append(1) or 0.001)
    worker.start()
    wait_until(lambda: len(steps) > 20)
    assert worker.stop()
    assert states(supervisor) == [State.UP, State.STOPPED]
    assert [s.name for s in telemetry.spans()] == [
        "consul heartbeat up",
        "consul heartbeat stopped",
    ]


def test_a_failing_step_is_repeated_with_backoff_and_restored(supervisor, telemetry):
    answers = iter([None, Unavailable("x"), Unavailable("x"), None])

    def step():
        if error := next(answers, None):
            raise error
        return 0.001

    worker = Worker(supervisor, step)
    worker.start()
    wait_until(lambda: states(supervisor)[-1:] == [State.UP] and len(states(supervisor)) == 3)
    worker.stop()
    assert states(supervisor) == [State.UP, State.LOST, State.UP, State.STOPPED]
    lost = supervisor.changes[1]
    assert isinstance(lost.error, Unavailable)
    assert telemetry.span("consul heartbeat lost").attributes["error.type"] == "Unavailable"


def test_an_error_given_up_on_ends_the_worker(supervisor):
    def step():
        raise Forbidden("x")

    worker = Worker(supervisor, step)
    worker.start()
    wait_until(lambda: worker.state is State.FAILED)
    worker.stop()
    assert states(supervisor) == [State.FAILED]


def test_a_bug_in_a_step_is_logged_without_its_text_and_repeated(supervisor, telemetry, canaries):
    secret = canaries.make("value")
    steps = []

    def step():
        steps.append(1)
        int(secret)

    worker = Worker(supervisor, step)
    worker.start()
    wait_until(lambda: len(steps) > 2)
    worker.stop()
    assert any("ValueError at" in line for line in telemetry.log.lines)


def test_stop_interrupts_a_blocked_step_in_under_a_second(supervisor):
    release = threading.Event()
    with no_leftovers():
        worker = Worker(supervisor, lambda: float(release.wait(60)), interrupt=release.set)
        worker.start()
        began = time.monotonic()
        assert worker.stop()
        assert time.monotonic() - began < 1


def test_stop_inside_the_callback_does_not_wait_for_itself(supervisor):
    stopped = threading.Event()

    def step():
        worker.stop()
        stopped.set()
        return 60.0

    worker = Worker(supervisor, step)
    worker.start()
    assert stopped.wait(1)
    wait_until(lambda: worker.state is State.STOPPED)


def test_a_state_callback_that_fails_does_not_end_the_worker(telemetry):
    def on_state(change):
        raise RuntimeError("no")

    supervisor = Supervisor("w", Tracing("consul"), on_state=on_state)
    steps = []
    worker = Worker(supervisor, lambda: steps.append(1) or 0.001)
    worker.start()
    wait_until(lambda: len(steps) > 3)
    worker.stop()
    assert any("RuntimeError at" in line for line in telemetry.log.lines)


def test_a_step_does_not_see_the_span_that_started_the_worker(supervisor, telemetry):
    seen = []
    with telemetry.tracer.start_as_current_span("request"):
        worker = Worker(supervisor, lambda: seen.append(trace.get_current_span()) or 1.0)
        worker.start()
        wait_until(lambda: seen)
        worker.stop()
    assert seen == [trace.INVALID_SPAN]


def test_async_worker_has_the_same_life(supervisor):
    async def life():
        answers = iter([None, Unavailable("x"), None])

        async def step():
            if error := next(answers, None):
                raise error
            return 0.001

        with no_leftovers():
            worker = AsyncWorker(supervisor, step)
            worker.start()
            await asyncio.sleep(0.1)
            await worker.stop()

    asyncio.run(life())
    assert states(supervisor) == [State.UP, State.LOST, State.UP, State.STOPPED]


def test_an_async_step_does_not_see_it_either(supervisor, telemetry):
    seen = []

    async def step():
        seen.append(trace.get_current_span())
        return 1.0

    async def life():
        with telemetry.tracer.start_as_current_span("request") as request:
            worker = AsyncWorker(supervisor, step)
            worker.start()
            await asyncio.sleep(0.05)
            await worker.stop()
            assert trace.get_current_span() is request

    asyncio.run(life())
    assert seen == [trace.INVALID_SPAN]


def test_an_async_worker_may_be_stopped_from_its_own_step(supervisor):
    async def life():
        async def step():
            await worker.stop()
            return 0.0

        worker = AsyncWorker(supervisor, step)
        worker.start()
        await asyncio.sleep(0.05)
        assert worker.state is State.STOPPED

    asyncio.run(life())


def test_backoff_grows_to_its_most_and_starts_again():
    backoff = Backoff(1.0, 4.0)
    pauses = [backoff.pause() for _ in range(5)]
    for pause, full in zip(pauses, [1, 2, 4, 4, 4], strict=True):
        assert full / 2 <= pause <= full
    backoff.reset()
    assert backoff.pause() <= 1


def test_inbox_keeps_order_and_makes_a_fast_reader_wait():
    inbox = Inbox(2)
    reader = threading.Thread(target=lambda: [inbox.put(n) for n in range(10)])
    reader.start()
    time.sleep(0.05)
    assert len(inbox) == 2
    assert [inbox.take()[1] for _ in range(10)] == list(range(10))
    reader.join()


def test_closing_an_inbox_wakes_reader_and_taker():
    inbox = Inbox(1)
    inbox.put(1)
    threading.Timer(0.05, inbox.close).start()
    assert inbox.put(2) is False
    assert inbox.take() is None


def test_delivery_notes_lag_and_survives_the_callback(telemetry, canaries):
    secret = canaries.make("value")
    tracing = Tracing("consul", tracer_provider=telemetry.tracer_provider)
    with telemetry.tracer.start_as_current_span("startup") as startup:
        deliver = Delivery(
            "consul watch config/", int, tracing, Meters("consul", telemetry.meter_provider)
        )
    deliver(secret, 0.25)
    span = telemetry.span("consul watch config/")
    assert span.parent is None
    assert [link.context for link in span.links] == [startup.get_span_context()]
    assert span.attributes["error.type"] == "ValueError"
    assert telemetry.metric("adapter.watch.lag") == {(("adapter.system", "consul"),): 1}
