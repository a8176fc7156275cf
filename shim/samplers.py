"""Jaeger's samplers as OpenTelemetry samplers: rate limiting, per operation, remote.

Plain `Sampler` classes; the shim's tracer is not needed. By entry point, for programs started
by `opentelemetry-instrument` or an SDK configurator:

    OTEL_TRACES_SAMPLER=jaeger_remote
    OTEL_TRACES_SAMPLER_ARG=endpoint=http://localhost:5778,pollingIntervalMs=60000,initialSamplingRate=0.001

    OTEL_TRACES_SAMPLER=rate_limiting
    OTEL_TRACES_SAMPLER_ARG=10

By entry point they follow the parent's decision. The classes decide for every span they are
asked about: wrap them in `opentelemetry.sdk.trace.sampling.ParentBased`.

Sampled roots get `sampler.type` and `sampler.param`, which Jaeger's adaptive sampling counts.
A root whose caller sent `jaeger-debug-id` (`shim.propagation`) is always sampled.
"""

from __future__ import annotations

import logging
import math
import os
import random
import threading
import time
import weakref
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState, get_current_span
from opentelemetry.util.types import Attributes

from shim.codecs import DEBUG_ID_HEADER
from shim.propagation import debug_request
from shim.sampling_client import SamplingClient, SamplingError

__all__ = [
    "ConstSampler",
    "GuaranteedThroughputSampler",
    "JaegerRemoteSampler",
    "JaegerSampler",
    "PerOperationSampler",
    "ProbabilisticSampler",
    "RateLimitingSampler",
]

_logger = logging.getLogger(__name__)

TYPE_KEY = "sampler.type"
PARAM_KEY = "sampler.param"

DEFAULT_ENDPOINT = "http://localhost:5778/sampling"
DEFAULT_RATE = 0.001
DEFAULT_LOWER_BOUND = 1 / 600
DEFAULT_MAX_OPERATIONS = 2000
DEFAULT_POLLING_SECONDS = 60.0
DEFAULT_TRACES_PER_SECOND = 10.0

_LOW_64 = (1 << 64) - 1
# The first poll is soon but not at once: services that start together do not ask together.
_FIRST_POLL_SECONDS = 1.0
_JITTER = 0.1
_JOIN_SECONDS = 1.0

Tags = dict[str, Any]
"""`sampler.type` and `sampler.param` of one decision; shared, so not to be changed."""

# Locks and threads that a forked child must make anew.
_forked: weakref.WeakSet[Any] = weakref.WeakSet()


def _after_fork() -> None:
    for thing in list(_forked):
        thing.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class JaegerSampler(Sampler):
    """What Jaeger's samplers share: a decision with its tags, made from trace id and name."""

    @abstractmethod
    def decide(self, trace_id: int, operation: str) -> tuple[bool, Tags]:
        """Whether to sample this trace, and the tags that say why."""

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """OpenTelemetry's question; tags go on roots only, a debug request on a root wins."""
        parent = get_current_span(parent_context).get_span_context()
        if parent.is_valid:
            sampled, _ = self.decide(trace_id, name)
            return _result(sampled, {}, attributes, parent.trace_state)
        request = debug_request(parent_context)
        if request is None:
            return _result(*self.decide(trace_id, name), attributes)
        request.grant(trace_id)
        return _result(True, {DEBUG_ID_HEADER: request.debug_id}, attributes)

    def get_description(self) -> str:
        return repr(self)

    def shutdown(self) -> None:
        """Ends what the sampler does in the background, if anything."""


class ConstSampler(JaegerSampler):
    """The same decision for every trace."""

    def __init__(self, decision: bool) -> None:
        self.decision = decision
        self._tags: Tags = {TYPE_KEY: "const", PARAM_KEY: decision}

    def decide(self, trace_id: int, operation: str) -> tuple[bool, Tags]:
        return self.decision, self._tags

    def __repr__(self) -> str:
        return f"ConstSampler({self.decision})"


class ProbabilisticSampler(JaegerSampler):
    """Samples the share `rate` (0 to 1) of traces, by the low 64 bits of the trace id.

    The same decision as OpenTelemetry's TraceIdRatioBased and every Jaeger client.
    """

    def __init__(self, rate: float) -> None:
        self.rate = _checked_rate(rate)
        self._bound = self.rate * (1 << 64)
        self._tags: Tags = {TYPE_KEY: "probabilistic", PARAM_KEY: self.rate}

    def decide(self, trace_id: int, operation: str) -> tuple[bool, Tags]:
        return trace_id & _LOW_64 < self._bound, self._tags

    def __repr__(self) -> str:
        return f"ProbabilisticSampler({self.rate})"


class RateLimitingSampler(JaegerSampler):
    """Samples at most `traces_per_second` (0 or more); what is not used up saves up for one second.

    `clock` gives seconds that never run backwards.
    """

    def __init__(
        self,
        traces_per_second: float = DEFAULT_TRACES_PER_SECOND,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._set_rate(traces_per_second)
        # A random start, as in jaeger-client: a fleet that restarts does not sample in step.
        self._balance = self._most * random.random()
        self._last = clock()
        _forked.add(self)

    def decide(self, trace_id: int, operation: str) -> tuple[bool, Tags]:
        with self._lock:
            self._refill()
            sampled = self._balance >= 1.0
            if sampled:
                self._balance -= 1.0
        return sampled, self._tags

    def update(self, traces_per_second: float) -> None:
        """Changes the rate; what was saved up stays in proportion."""
        with self._lock:
            self._refill()
            before = self._most
            self._set_rate(traces_per_second)
            self._balance *= self._most / before

    def after_fork(self) -> None:
        self._lock = threading.Lock()

    def _set_rate(self, traces_per_second: float) -> None:
        self.traces_per_second = _checked_limit(traces_per_second)
        self._most = max(self.traces_per_second, 1.0)
        self._tags: Tags = {TYPE_KEY: "ratelimiting", PARAM_KEY: self.traces_per_second}

    def _refill(self) -> None:
        now = self._clock()
        earned = max(now - self._last, 0.0) * self.traces_per_second
        self._balance = min(self._balance + earned, self._most)
        self._last = now

    def __repr__(self) -> str:
        return f"RateLimitingSampler({self.traces_per_second})"


class GuaranteedThroughputSampler(JaegerSampler):
    """Samples by probability, and at least `lower_bound` traces a second when that gives fewer."""

    def __init__(self, lower_bound: float, rate: float) -> None:
        self._floor = RateLimitingSampler(lower_bound)
        self._set_rate(rate)

    @property
    def lower_bound(self) -> float:
        return self._floor.traces_per_second

    @property
    def rate(self) -> float:
        return self._chance.rate

    def decide(self, trace_id: int, operation: str) -> tuple[bool, Tags]:
        by_chance, tags = self._chance.decide(trace_id, operation)
        by_floor, _ = self._floor.decide(trace_id, operation)
        return (True, tags) if by_chance else (by_floor, self._tags)

    def update(self, lower_bound: float, rate: float) -> None:
        if rate != self.rate:
            self._set_rate(rate)
        if lower_bound != self.lower_bound:
            self._floor.update(lower_bound)

    def _set_rate(self, rate: float) -> None:
        self._chance = ProbabilisticSampler(rate)
        self._tags: Tags = {TYPE_KEY: "lowerbound", PARAM_KEY: self._chance.rate}

    def __repr__(self) -> str:
        return f"GuaranteedThroughputSampler({self.lower_bound}, {self.rate})"


class PerOperationSampler(JaegerSampler):
    """A guaranteed throughput for each operation (span name), with a default for new ones.

    Operations beyond `max_operations` share one probabilistic sampler: names come from the
    application, and a name for each request must not fill the memory.
    """

    def __init__(
        self,
        rates: Mapping[str, float],
        *,
        default_rate: float = DEFAULT_RATE,
        default_lower_bound: float = DEFAULT_LOWER_BOUND,
        max_operations: int = DEFAULT_MAX_OPERATIONS,
    ) -> None:
        self.max_operations = max_operations
        self._samplers: dict[str, GuaranteedThroughputSampler] = {}
        self.update(rates, default_rate=default_rate, default_lower_bound=default_lower_bound)

    def decide(self, trace_id: int, operation: str) -> tuple[bool, Tags]:
        sampler = self._samplers.get(operation)
        if sampler is None:
            if len(self._samplers) >= self.max_operations:
                return self._default.decide(trace_id, operation)
            new = GuaranteedThroughputSampler(self.default_lower_bound, self.default_rate)
            sampler = self._samplers.setdefault(operation, new)
        return sampler.decide(trace_id, operation)

    def update(
        self, rates: Mapping[str, float], *, default_rate: float, default_lower_bound: float
    ) -> None:
        """New rates; an operation keeps what it has saved up towards its lower bound."""
        self._default = ProbabilisticSampler(default_rate)
        self.default_rate = default_rate
        self.default_lower_bound = _checked_limit(default_lower_bound)
        for operation, rate in rates.items():
            known = self._samplers.get(operation)
            if known is not None:
                known.update(default_lower_bound, rate)
            elif len(self._samplers) < self.max_operations:
                self._samplers[operation] = GuaranteedThroughputSampler(default_lower_bound, rate)

    def __repr__(self) -> str:
        return f"PerOperationSampler({len(self._samplers)} operations, {self.default_rate})"


class JaegerRemoteSampler(JaegerSampler):
    """Samples as the Jaeger backend says, asked every `polling_seconds` by a daemon thread.

    `endpoint` is the HTTP sampling endpoint of an agent, a collector or Jaeger v2 (port 5778).
    Until the first good answer, and for as long as the server is down, slow or talks nonsense,
    the last sampler decides (at first `initial`: 0.1 % of traces, as in every Jaeger client).
    Each trouble is logged once, and its end too. `observe` is told ("query" or "update", ok).
    Survives `os.fork`; `shutdown` ends the thread, and so does dropping the sampler.
    """

    def __init__(
        self,
        service_name: str,
        *,
        endpoint: str = DEFAULT_ENDPOINT,
        polling_seconds: float = DEFAULT_POLLING_SECONDS,
        initial: JaegerSampler | None = None,
        max_operations: int = DEFAULT_MAX_OPERATIONS,
        observe: Callable[[str, bool], None] = lambda event, ok: None,
    ) -> None:
        if not polling_seconds > 0:
            raise ValueError(f"polling_seconds must be above 0, not {polling_seconds}")
        self.sampler: JaegerSampler = initial or ProbabilisticSampler(DEFAULT_RATE)
        self.max_operations = max_operations
        self.polling_seconds = polling_seconds
        self._client = SamplingClient(endpoint, service_name)
        self._observe = observe
        self._trouble = ""
        self._stop = threading.Event()
        self._start()
        _forked.add(self)

    @property
    def endpoint(self) -> str:
        return self._client.url

    def decide(self, trace_id: int, operation: str) -> tuple[bool, Tags]:
        return self.sampler.decide(trace_id, operation)

    def poll(self) -> bool:
        """Asks the server now and takes its answer; False, and all as it was, if that fails."""
        try:
            strategy = self._client.fetch()
        except SamplingError as error:
            self._observe("query", False)
            self._log_trouble(str(error))
            return False
        self._observe("query", True)
        try:
            self.sampler = sampler_for(strategy, self.sampler, self.max_operations)
        except (ValueError, TypeError, AttributeError) as error:
            self._observe("update", False)
            self._log_trouble(f"{self._client.url} sent a strategy that cannot be used: {error}")
            return False
        self._observe("update", True)
        self._log_trouble("")
        return True

    def shutdown(self) -> None:
        """Stops polling; the sampler keeps deciding as it last was told."""
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join(_JOIN_SECONDS)

    def after_fork(self) -> None:
        if not self._stop.is_set():
            self._stop = threading.Event()
            self._start()

    def _start(self) -> None:
        self._thread = threading.Thread(
            target=_poll_forever,
            args=(weakref.ref(self), self._stop, self.polling_seconds),
            name="jaeger-remote-sampler",
            daemon=True,
        )
        self._thread.start()

    def _log_trouble(self, trouble: str) -> None:
        if trouble and not self._trouble:
            _logger.warning("Sampling stays at %r: %s", self.sampler, trouble)
        elif self._trouble and not trouble:
            _logger.info("Sampling is told by %s again: %r", self._client.url, self.sampler)
        self._trouble = trouble

    def __repr__(self) -> str:
        return f"JaegerRemoteSampler({self._client.url}, {self.sampler!r})"


def sampler_for(
    strategy: Mapping[str, Any], current: JaegerSampler, max_operations: int
) -> JaegerSampler:
    """The sampler for a server's answer: `current`, brought up to date, where its kind still fits.

    Jaeger v2 writes `strategyType` as a number, older servers as a name, and JSON made from
    protobuf leaves out what is zero. Raises ValueError or TypeError for an unusable answer.
    """
    operations = strategy.get("operationSampling")
    if operations:
        return _per_operation(operations, current, max_operations)
    kind = strategy.get("strategyType", 0)
    if kind in (0, "PROBABILISTIC"):
        rate = _checked_rate((strategy.get("probabilisticSampling") or {}).get("samplingRate", 0.0))
        if isinstance(current, ProbabilisticSampler) and current.rate == rate:
            return current
        return ProbabilisticSampler(rate)
    if kind in (1, "RATE_LIMITING"):
        limit = (strategy.get("rateLimitingSampling") or {}).get("maxTracesPerSecond", 0)
        if not isinstance(current, RateLimitingSampler):
            return RateLimitingSampler(limit)
        if current.traces_per_second != limit:
            current.update(limit)
        return current
    raise ValueError(f"unknown strategyType {str(kind)[:100]!r}")


def _result(
    sampled: bool, tags: Tags, attributes: Attributes, state: TraceState | None = None
) -> SamplingResult:
    if not sampled:
        return SamplingResult(Decision.DROP, None, state)
    return SamplingResult(Decision.RECORD_AND_SAMPLE, {**(attributes or {}), **tags}, state)


def _per_operation(
    operations: Mapping[str, Any], current: JaegerSampler, max_operations: int
) -> PerOperationSampler:
    rates = {
        str(each["operation"]): _checked_rate(
            (each.get("probabilisticSampling") or {}).get("samplingRate", 0.0)
        )
        for each in operations.get("perOperationStrategies") or ()
        if each.get("operation") is not None
    }
    default_rate = _checked_rate(operations.get("defaultSamplingProbability", 0.0))
    lower_bound = _checked_limit(operations.get("defaultLowerBoundTracesPerSecond", 0.0))
    if isinstance(current, PerOperationSampler):
        current.update(rates, default_rate=default_rate, default_lower_bound=lower_bound)
        return current
    return PerOperationSampler(
        rates,
        default_rate=default_rate,
        default_lower_bound=lower_bound,
        max_operations=max_operations,
    )


def _checked_rate(rate: float) -> float:
    if not 0.0 <= rate <= 1.0:
        raise ValueError(f"a sampling rate lies between 0 and 1, not {rate}")
    return rate


def _checked_limit(traces_per_second: float) -> float:
    if not (traces_per_second >= 0 and math.isfinite(traces_per_second)):
        raise ValueError(f"traces per second must be 0 or more, not {traces_per_second}")
    return traces_per_second


def _poll_forever(
    sampler_ref: weakref.ref[JaegerRemoteSampler], stop: threading.Event, seconds: float
) -> None:
    pause = random.random() * min(seconds, _FIRST_POLL_SECONDS)
    while not stop.wait(pause):
        sampler = sampler_ref()
        if sampler is None:
            return
        try:
            sampler.poll()
        except Exception:
            _logger.exception("Sampling strategy not refreshed")
        del sampler
        pause = seconds * random.uniform(1 - _JITTER, 1 + _JITTER)
