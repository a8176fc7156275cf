"""The project's own tracing helpers; nothing else here knows of OpenTracing."""
import contextlib

import opentracing
from jaeger_client import Config
from opentracing.ext import tags

_tracer = None


def get_tracer():
    global _tracer
    if _tracer is None:
        config = Config(
            config={'sampler': {'type': 'const', 'param': 1}},
            service_name='billing',
        )
        _tracer = config.initialize_tracer()
    return _tracer


@contextlib.contextmanager
def start_active_span(name, **attributes):
    """Only the name is OpenTracing's: callers get a span, not a scope."""
    with get_tracer().start_active_span(name) as scope:
        for key, value in attributes.items():
            scope.span.set_tag(key, str(value))
        yield scope.span


def traced(func):
    def wrapper(*args, **kwargs):
        with get_tracer().start_active_span(func.__name__):
            return func(*args, **kwargs)

    return wrapper


def mark_failed(message):
    span = opentracing.tracer.active_span
    if span:
        span.set_tag(tags.ERROR, True)
        span.log_kv({'event': 'error', 'message': message})


def close():
    get_tracer().close()
