"""OpenTracing's scope manager for tornado: active spans follow coroutines and callbacks."""

from legacy_tracer import legacy_tracer
from opentracing.scope_managers.tornado import TornadoScopeManager, tracer_stack_context
from tornado import gen, ioloop

tracer = legacy_tracer("tornado-app", scope_manager=TornadoScopeManager())


@gen.coroutine
def child():
    yield gen.sleep(0.001)
    with tracer.start_active_span("child") as scope:
        yield gen.sleep(0.001)
        assert tracer.active_span is scope.span


@gen.coroutine
def request(name):
    with tracer.start_active_span(name) as scope:
        scope.span.set_tag("request", name)
        yield child()
        assert tracer.active_span is scope.span
        with tracer.scope_manager.activate(tracer.start_span("by hand"), True):
            yield child()
    assert tracer.active_span is None


@gen.coroutine
def main():
    requests = []
    for name in ("first", "second"):  # side by side, each in a context of its own
        with tracer_stack_context():
            requests.append(request(name))
    yield requests


ioloop.IOLoop.current().run_sync(main)
