"""Which span is active: legacy scopes kept in OpenTelemetry's context, so both worlds nest."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from operator import attrgetter
from typing import Any

import opentelemetry.context as otel_context
import opentracing
from opentelemetry import baggage, trace
from opentelemetry.context import Context, create_key
from opentelemetry.trace.propagation import _SPAN_KEY

from .propagation import FLAGS_KEY
from .values import text

logger = logging.getLogger("jaeger_tracing")

_runtime = otel_context._RUNTIME_CONTEXT
_variable = getattr(_runtime, "_current_context", None)
if isinstance(_variable, ContextVar):  # the default runtime: without its two layers of calls
    get_current: Callable[[], Context] = _variable.get
    attach: Callable[[Context], Any] = _variable.set
else:
    get_current, attach = _runtime.get_current, _runtime.attach

# Where jaeger-client 4.8 kept the active scope per thread, we keep it in the context: the same
# for threads, and right for asyncio tasks as well. Closing never detaches by token: that fails
# (with a logged error) in another task or thread; putting the former context back does not.


class ContextScopeManager(opentracing.ScopeManager):  # type: ignore[misc]
    """The default scope manager. Each instance has its own active scope, as each
    `ThreadLocalScopeManager` had; all of them share OpenTelemetry's current span."""

    def __init__(self) -> None:
        super().__init__()
        self._key = create_key("legacy-scope")

    def activate(self, span: Any, finish_on_close: bool) -> ContextScope:
        return ContextScope(self, span, finish_on_close)

    @property
    def active(self) -> opentracing.Scope | None:
        """The innermost scope of this manager; a scope over the native span where one is inside."""
        context = get_current()
        scope: ContextScope | None = context.get(self._key)  # type: ignore[assignment]
        current = context.get(_SPAN_KEY)
        if scope is not None and scope._closed:  # a native detach brought it back
            if scope._current is current:
                attach(scope._previous)
                return self.active
            scope = scope._surviving()
        if current is None or (scope is not None and scope._current is current):
            return scope
        if isinstance(current, opentracing.Span):
            return scope
        native = native_face(current)
        return scope if native is None else NativeScope(self, native)


class ContextScope(opentracing.Scope):  # type: ignore[misc]
    """The active period of a span."""

    _closed = False
    span = property(attrgetter("_span"))  # OpenTracing's, without a call: read for every tag

    def __init__(self, manager: ContextScopeManager, span: Any, finish_on_close: bool) -> None:
        self._manager = manager
        self._span = span
        self._finish_on_close = finish_on_close
        self._previous = previous = get_current()
        own = type(span) is _own_span
        self._current = current = span if own else _otel_span(span, previous)
        inside = {**previous, manager._key: self, _SPAN_KEY: current}
        if current is span:  # native spans inside carry its flags on, also those set later
            inside[FLAGS_KEY] = span
        carries = span.context._baggage if own else _carries_baggage(span)
        context = Context(inside)
        attach(_with_baggage(span, context) if carries else context)

    def close(self) -> None:
        """Ends the period, and the span if it was activated so. Only the active scope can."""
        context = get_current()
        if self._closed or context.get(self._manager._key) is not self:
            return
        if context.get(_SPAN_KEY) is self._current:
            attach(self._previous)
        else:  # a native span inside is still open: it stays current, and its end brings us back
            self._closed = True
            attach(Context({**context, self._manager._key: self._surviving()}))
        if self._finish_on_close and self._span is not None:
            self._span.finish()

    def _surviving(self) -> ContextScope | None:
        """The nearest scope around this one that is still open."""
        scope: ContextScope | None = self
        while scope is not None and scope._closed:
            scope = scope._previous.get(scope._manager._key)  # type: ignore[assignment]
        return scope

    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        if exc_val is not None:
            leave(self._span, exc_type, exc_val, exc_tb)
        self.close()


class NativeScope(opentracing.Scope):  # type: ignore[misc]
    """A scope over an active native span. Closing does nothing: who activated it deactivates it."""


def share(manager: Any) -> None:
    """Lets OpenTelemetry see the scopes of another scope manager as the current span.

    The manager stays the authority for legacy code (a task is a root under
    `AsyncioScopeManager`, as it was); native spans nest in what it activates.
    """
    if isinstance(manager, ContextScopeManager) or getattr(manager, "_shared_by_shim", False):
        return
    activate = manager.activate

    def activate_in_both(span: Any, finish_on_close: bool) -> Any:
        scope = activate(span, finish_on_close)
        previous = get_current()
        context = dict(previous)
        current = context[_SPAN_KEY] = _otel_span(span, context)
        if current is span:  # as in ContextScope
            context[FLAGS_KEY] = span

        def close_in_both() -> None:
            close()
            if get_current().get(_SPAN_KEY) is current and manager.active is not scope:
                attach(previous)

        try:
            close, scope.close = scope.close, close_in_both
        except AttributeError:  # a scope that takes no attributes: native code does not see it
            return scope
        attach(_with_baggage(span, Context(context)))
        return scope

    try:
        manager.activate = activate_in_both
        manager._shared_by_shim = True
    except AttributeError:
        logger.warning("%s takes no attributes: native spans do not nest in it", type(manager))


def innermost(scope: opentracing.Scope | None) -> Any:
    """The active span, given what a foreign scope manager says: a native span inside it wins."""
    current = get_current().get(_SPAN_KEY)
    if current is not None and not isinstance(current, opentracing.Span):
        native = native_face(current)
        if native is not None:
            return native
    return None if scope is None else scope.span


def native_face(current: Any) -> Any:
    """The legacy face of a valid native span, or None."""
    if not isinstance(current, trace.Span) or not current.get_span_context().is_valid:
        return None
    from .jaeger_client.native import NativeSpan

    return NativeSpan.of(current)


def leave(span: Any, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
    """What leaving a `with` by an exception writes on the span (as opentracing 2.4 does)."""
    if span is None or exc_val is None:
        return
    span.set_tag("error", True)
    span.log_kv(
        {
            "event": "error",
            "message": text(exc_val),
            "error.object": exc_val,
            "error.kind": exc_type,
            "stack": exc_tb,
        }
    )


def know(kind: type) -> None:
    """Tells of the class of legacy spans, which are OpenTelemetry spans themselves."""
    global _own_span
    _own_span = kind


_own_span: type | None = None


def _otel_span(span: Any, context: Mapping[str, object]) -> object:
    """What becomes current: the span itself; nothing for `activate(None)`; no change for a mock."""
    if isinstance(span, trace.Span):
        return getattr(span, "native", span)
    return trace.INVALID_SPAN if span is None else context.get(_SPAN_KEY)


def _carries_baggage(span: Any) -> bool:
    try:
        return bool(span.context._baggage)
    except AttributeError:  # None, or a span of another library
        return False


def _with_baggage(span: Any, context: Context) -> Context:
    carried = span.context._baggage if _carries_baggage(span) else None
    if isinstance(carried, dict):  # no dict on a mock
        for key, value in carried.items():
            context = baggage.set_baggage(key, value, context)
    return context
