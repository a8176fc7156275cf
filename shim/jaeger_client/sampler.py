"""jaeger_client's samplers under their old API. `shim.samplers` has them for OpenTelemetry."""

from __future__ import annotations

import json
import logging
import random
import threading
from collections.abc import Mapping
from typing import Any

from .constants import (
    DEFAULT_SAMPLING_INTERVAL,
    SAMPLER_TYPE_CONST,
    SAMPLER_TYPE_LOWER_BOUND,
    SAMPLER_TYPE_PROBABILISTIC,
    SAMPLER_TYPE_RATE_LIMITING,
    _max_id_bits,
)
from .local_agent_net import PeriodicCallback
from .metrics import LegacyMetricsFactory, Metrics, MetricsFactory
from .rate_limiter import RateLimiter
from .utils import ErrorReporter

default_logger = logging.getLogger("jaeger_tracing")

SAMPLER_TYPE_TAG_KEY = "sampler.type"
SAMPLER_PARAM_TAG_KEY = "sampler.param"
DEFAULT_SAMPLING_PROBABILITY = 0.001
DEFAULT_LOWER_BOUND = 1.0 / (10.0 * 60.0)  # one trace in ten minutes
DEFAULT_MAX_OPERATIONS = 2000

STRATEGIES_STR = "perOperationStrategies"
OPERATION_STR = "operation"
DEFAULT_LOWER_BOUND_STR = "defaultLowerBoundTracesPerSecond"
PROBABILISTIC_SAMPLING_STR = "probabilisticSampling"
SAMPLING_RATE_STR = "samplingRate"
DEFAULT_SAMPLING_PROBABILITY_STR = "defaultSamplingProbability"
OPERATION_SAMPLING_STR = "operationSampling"
MAX_TRACES_PER_SECOND_STR = "maxTracesPerSecond"
RATE_LIMITING_SAMPLING_STR = "rateLimitingSampling"
STRATEGY_TYPE_STR = "strategyType"
PROBABILISTIC_SAMPLING_STRATEGY = "PROBABILISTIC"
RATE_LIMITING_SAMPLING_STRATEGY = "RATE_LIMITING"

# Jaeger v2 answers numbers; jaeger-client 4.8 knew only names and stayed at 0.1 % for ever.
_PROBABILISTIC = (PROBABILISTIC_SAMPLING_STRATEGY, 0)
_RATE_LIMITING = (RATE_LIMITING_SAMPLING_STRATEGY, 1)

Tags = dict[str, Any]


class Sampler:
    """Decides for a new trace; the tags go on its root span."""

    def __init__(self, tags: Tags | None = None) -> None:
        self._tags = tags or {}

    def is_sampled(self, trace_id: int, operation: str = "") -> tuple[bool, Tags]:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return isinstance(other, self.__class__) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]


class ConstSampler(Sampler):
    """The same decision for every trace."""

    def __init__(self, decision: bool) -> None:
        super().__init__(_tags(SAMPLER_TYPE_CONST, decision))
        self.decision = decision

    def is_sampled(self, trace_id: int, operation: str = "") -> tuple[bool, Tags]:
        return self.decision, self._tags

    def close(self) -> None:
        pass

    def __str__(self) -> str:
        return f"ConstSampler({self.decision})"


class ProbabilisticSampler(Sampler):
    """Samples a share of the traces, by the low 64 bits of their random ids."""

    def __init__(self, rate: float) -> None:
        super().__init__(_tags(SAMPLER_TYPE_PROBABILISTIC, rate))
        if not 0.0 <= rate <= 1.0:
            raise AssertionError("Sampling rate must be between 0.0 and 1.0")
        self.rate = rate
        self.max_number = 1 << _max_id_bits
        self.boundary = rate * self.max_number

    def is_sampled(self, trace_id: int, operation: str = "") -> tuple[bool, Tags]:
        return trace_id & (self.max_number - 1) < self.boundary, self._tags

    def close(self) -> None:
        pass

    def __str__(self) -> str:
        return f"ProbabilisticSampler({self.rate})"


class RateLimitingSampler(Sampler):
    """At most so many traces a second; below one a second, one each so many seconds."""

    def __init__(self, max_traces_per_second: float = 10) -> None:
        super().__init__()
        self._set(max_traces_per_second)
        self.rate_limiter = RateLimiter(max_traces_per_second, max(max_traces_per_second, 1.0))

    def is_sampled(self, trace_id: int, operation: str = "") -> tuple[bool, Tags]:
        return self.rate_limiter.check_credit(1.0), self._tags

    def update(self, max_traces_per_second: float) -> bool:
        """Changes the limit; False when it is the same."""
        if self.traces_per_second == max_traces_per_second:
            return False
        self._set(max_traces_per_second)
        self.rate_limiter.update(max_traces_per_second, max(max_traces_per_second, 1.0))
        return True

    def close(self) -> None:
        pass

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, self.__class__) and self.traces_per_second == other.traces_per_second
        )

    __hash__ = None

    def __str__(self) -> str:
        return f"RateLimitingSampler({self.traces_per_second})"

    def _set(self, max_traces_per_second: float) -> None:
        if max_traces_per_second < 0:
            raise AssertionError("max_traces_per_second must not be negative")
        self._tags = _tags(SAMPLER_TYPE_RATE_LIMITING, max_traces_per_second)
        self.traces_per_second = max_traces_per_second


class GuaranteedThroughputProbabilisticSampler(Sampler):
    """Probabilistic, but at least `lower_bound` traces a second of one operation."""

    def __init__(self, operation: str, lower_bound: float, rate: float) -> None:
        super().__init__(_tags(SAMPLER_TYPE_LOWER_BOUND, rate))
        self.probabilistic_sampler = ProbabilisticSampler(rate)
        self.lower_bound_sampler = RateLimitingSampler(lower_bound)
        self.operation = operation
        self.rate = rate
        self.lower_bound = lower_bound

    def is_sampled(self, trace_id: int, operation: str = "") -> tuple[bool, Tags]:
        by_chance, tags = self.probabilistic_sampler.is_sampled(trace_id, operation)
        # asked in any case: what chance samples counts towards the bound
        by_bound, _ = self.lower_bound_sampler.is_sampled(trace_id, operation)
        return (True, tags) if by_chance else (by_bound, self._tags)

    def update(self, lower_bound: float, rate: float) -> None:
        if self.rate != rate:
            self.probabilistic_sampler = ProbabilisticSampler(rate)
            self.rate = rate
            self._tags = _tags(SAMPLER_TYPE_LOWER_BOUND, rate)
        if self.lower_bound != lower_bound:
            self.lower_bound_sampler.update(lower_bound)
            self.lower_bound = lower_bound

    def close(self) -> None:
        pass

    def __str__(self) -> str:
        return (
            f"GuaranteedThroughputProbabilisticSampler({self.operation}, "
            f"{self.rate:f}, {self.lower_bound:f})"
        )


class AdaptiveSampler(Sampler):
    """A guaranteed-throughput sampler for each operation, up to `max_operations`."""

    def __init__(self, strategies: Mapping[str, Any], max_operations: int) -> None:
        super().__init__()
        self.samplers: dict[str, GuaranteedThroughputProbabilisticSampler] = {}
        self.max_operations = max_operations
        self.update(strategies)

    def is_sampled(self, trace_id: int, operation: str = "") -> tuple[bool, Tags]:
        sampler = self.samplers.get(operation)
        if sampler is None:
            if len(self.samplers) >= self.max_operations:
                return self.default_sampler.is_sampled(trace_id, operation)
            sampler = self.samplers[operation] = GuaranteedThroughputProbabilisticSampler(
                operation, self.lower_bound, self.default_sampling_probability
            )
        return sampler.is_sampled(trace_id, operation)

    def update(self, strategies: Mapping[str, Any]) -> None:
        self.lower_bound = strategies.get(DEFAULT_LOWER_BOUND_STR, DEFAULT_LOWER_BOUND)
        self.default_sampling_probability = strategies.get(
            DEFAULT_SAMPLING_PROBABILITY_STR, DEFAULT_SAMPLING_PROBABILITY
        )
        self.default_sampler = ProbabilisticSampler(self.default_sampling_probability)
        for strategy in strategies.get(STRATEGIES_STR) or ():
            operation = strategy.get(OPERATION_STR)
            rate = get_sampling_probability(strategy)
            known = self.samplers.get(operation)
            if known is not None:
                known.update(self.lower_bound, rate)
            else:
                self.samplers[operation] = GuaranteedThroughputProbabilisticSampler(
                    operation, self.lower_bound, rate
                )

    def close(self) -> None:
        pass

    def __str__(self) -> str:
        return (
            f"AdaptiveSampler({self.default_sampling_probability:f}, "
            f"{self.lower_bound:f}, {self.max_operations})"
        )


class RemoteControlledSampler(Sampler):
    """Asks the agent (or Jaeger v2) for the strategy, again and again, through `channel`.

    Keywords: init_sampler, sampling_refresh_interval (seconds), logger, metrics,
    metrics_factory, error_reporter, max_operations.
    """

    def __init__(self, channel: Any, service_name: str, **kwargs: Any) -> None:
        super().__init__()
        self._channel = channel
        self.service_name = service_name
        self.logger = kwargs.get("logger", default_logger)
        self.sampler: Any = kwargs.get("init_sampler")
        self.sampling_refresh_interval = (
            kwargs.get("sampling_refresh_interval") or DEFAULT_SAMPLING_INTERVAL
        )
        self.metrics_factory = kwargs.get("metrics_factory") or LegacyMetricsFactory(
            kwargs.get("metrics") or Metrics()
        )
        self.metrics = SamplerMetrics(self.metrics_factory)
        self.error_reporter = kwargs.get("error_reporter") or ErrorReporter(Metrics())
        self.max_operations = kwargs.get("max_operations") or DEFAULT_MAX_OPERATIONS
        if not self.sampler:
            self.sampler = ProbabilisticSampler(DEFAULT_SAMPLING_PROBABILITY)
        else:
            self.sampler.is_sampled(0)  # raises here rather than in every start_span
        self.lock = threading.Lock()
        self.running = True
        self.periodic: Any = None
        self.io_loop = channel.io_loop
        if not self.io_loop:
            self.logger.error("Cannot acquire IOLoop, sampler will not be updated")
        else:
            self.io_loop.add_callback(self._init_polling)

    def is_sampled(self, trace_id: int, operation: str = "") -> tuple[bool, Tags]:
        return self.sampler.is_sampled(trace_id, operation)  # type: ignore[no-any-return]

    def close(self) -> None:
        with self.lock:
            self.running = False
            if self.periodic:
                self.periodic.stop()

    def _init_polling(self) -> None:
        with self.lock:
            if not self.running:
                return
            # services started together are not to ask together
            delay = random.random() * self.sampling_refresh_interval
            self.io_loop.call_later(delay=delay, callback=self._delayed_polling)
            self.logger.info("Delaying sampling strategy polling by %d sec", delay)

    def _delayed_polling(self) -> None:
        self._poll_sampling_manager()
        with self.lock:
            if self.running:
                self.periodic = self._create_periodic_callback()
                self.logger.info(
                    "Tracing sampler started with sampling refresh interval %d sec",
                    self.sampling_refresh_interval,
                )

    def _create_periodic_callback(self) -> PeriodicCallback:
        return PeriodicCallback(
            self.io_loop, self._poll_sampling_manager, self.sampling_refresh_interval
        )

    def _poll_sampling_manager(self) -> None:
        self.logger.debug("Requesting tracing sampler refresh")
        future = self._channel.request_sampling_strategy(self.service_name)
        future.add_done_callback(self._sampling_request_callback)

    def _sampling_request_callback(self, future: Any) -> None:
        error = future.exception()
        if error:
            self.metrics.sampler_query_failure(1)
            self.error_reporter.error("Fail to get sampling strategy from jaeger-agent: %s", error)
            return
        body = future.result().body
        try:
            strategy = json.loads(body)
            self.metrics.sampler_retrieved(1)
        except Exception as error:  # noqa: BLE001 - reported
            self.metrics.sampler_query_failure(1)
            self.error_reporter.error(
                "Fail to parse sampling strategy from jaeger-agent: %s [%s]", error, body
            )
            return
        self._update_sampler(strategy)
        self.logger.debug("Tracing sampler set to %s", self.sampler)

    def _update_sampler(self, response: Any) -> None:
        with self.lock:
            try:
                changed = self._sampler_for(response)
            except Exception as error:  # noqa: BLE001 - reported
                self.metrics.sampler_update_failure(1)
                self.error_reporter.error(
                    "Fail to update sampler from jaeger-agent: %s [%s]", error, response
                )
                return
        if changed:
            self.metrics.sampler_updated(1)

    def _sampler_for(self, response: Mapping[str, Any]) -> bool:
        """Takes the strategy over; False when nothing changed. Raises for a nonsensical one."""
        operations = response.get(OPERATION_SAMPLING_STR)
        strategy = response.get(STRATEGY_TYPE_STR)
        if operations:
            if isinstance(self.sampler, AdaptiveSampler):
                self.sampler.update(operations)
            else:
                self.sampler = AdaptiveSampler(operations, self.max_operations)
            return True
        if strategy in _PROBABILISTIC:
            wanted: Sampler = ProbabilisticSampler(rate=get_sampling_probability(response))
        elif strategy in _RATE_LIMITING:
            limit = get_rate_limit(response)
            if not 0 <= limit < 500:
                raise ValueError(f"Rate limiting parameter not in [0, 500) range: {limit}")
            if isinstance(self.sampler, RateLimitingSampler):
                return self.sampler.update(max_traces_per_second=limit)
            wanted = RateLimitingSampler(max_traces_per_second=limit)
        else:
            raise ValueError(f"Unsupported sampling strategy type: {strategy}")
        if self.sampler == wanted:
            return False
        self.sampler = wanted
        return True


class SamplerMetrics:
    """The counters of a remote sampler, under jaeger_client's names."""

    def __init__(self, metrics_factory: MetricsFactory) -> None:
        counter = metrics_factory.create_counter
        self.sampler_retrieved = counter("jaeger:sampler_queries", {"result": "ok"})
        self.sampler_query_failure = counter("jaeger:sampler_queries", {"result": "err"})
        self.sampler_updated = counter("jaeger:sampler_updates", {"result": "ok"})
        self.sampler_update_failure = counter("jaeger:sampler_updates", {"result": "err"})


def get_sampling_probability(strategy: Mapping[str, Any] | None = None) -> float:
    """The rate of a probabilistic strategy, 0.001 where it names none."""
    probabilistic = (strategy or {}).get(PROBABILISTIC_SAMPLING_STR) or {}
    return probabilistic.get(SAMPLING_RATE_STR, DEFAULT_SAMPLING_PROBABILITY)  # type: ignore[no-any-return]


def get_rate_limit(strategy: Mapping[str, Any] | None = None) -> float:
    """The traces per second of a rate limiting strategy; one in ten minutes where it names none."""
    limiting = (strategy or {}).get(RATE_LIMITING_SAMPLING_STR) or {}
    return limiting.get(MAX_TRACES_PER_SECOND_STR, DEFAULT_LOWER_BOUND)  # type: ignore[no-any-return]


def _tags(kind: str, param: Any) -> Tags:
    return {SAMPLER_TYPE_TAG_KEY: kind, SAMPLER_PARAM_TAG_KEY: param}
