"""jaeger_client's Config: the same keys and variables, an OTLP pipeline behind them."""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

import opentracing
from opentracing import Format

from .codecs import B3Codec, Codec
from .constants import (
    BAGGAGE_HEADER_PREFIX,
    DEBUG_ID_HEADER_KEY,
    DEFAULT_FLUSH_INTERVAL,
    DEFAULT_SAMPLING_INTERVAL,
    DEFAULT_THROTTLER_REFRESH_INTERVAL,
    MAX_TAG_VALUE_LENGTH,
    MAX_TRACEBACK_LENGTH,
    SAMPLER_TYPE_CONST,
    SAMPLER_TYPE_PROBABILISTIC,
    SAMPLER_TYPE_RATE_LIMITING,
    TRACE_ID_HEADER,
)
from .local_agent_net import LocalAgentSender
from .metrics import LegacyMetricsFactory, Metrics, MetricsFactory
from .reporter import BaseReporter, CompositeReporter, LoggingReporter, Reporter
from .sampler import (
    ConstSampler,
    ProbabilisticSampler,
    RateLimitingSampler,
    RemoteControlledSampler,
    Sampler,
)
from .throttler import RemoteThrottler, Throttler
from .tracer import Tracer
from .utils import ErrorReporter, get_boolean

DEFAULT_REPORTING_HOST = "localhost"
DEFAULT_REPORTING_PORT = 6831
DEFAULT_SAMPLING_PORT = 5778
DEFAULT_THROTTLER_PORT = DEFAULT_SAMPLING_PORT
LOCAL_AGENT_DEFAULT_ENABLED = True

logger = logging.getLogger("jaeger_tracing")

# What `validate=True` lets through. jaeger_client 4.8 reads `metrics`, `debug_id_header` and
# `max_operations` too, and yet rejects them here; so do we.
_VALIDATED_KEYS = frozenset(
    [
        "baggage_header_prefix",
        "enabled",
        "generate_128bit_trace_id",
        "local_agent",
        "logging",
        "max_tag_value_length",
        "max_traceback_length",
        "propagation",
        "reporter_batch_size",
        "reporter_flush_interval",
        "reporter_queue_size",
        "sampler",
        "sampling_refresh_interval",
        "service_name",
        "tags",
        "throttler",
        "trace_id_header",
    ]
)


class Config:
    """A dict of settings, and the tracer they make. `service_name` is required, in the dict
    (which wins) or as the argument.

    Raises ValueError without a service name, for an unknown sampler type, and with `validate`
    for an unknown key.
    """

    _initialized = False
    _initialized_lock = threading.Lock()

    def __init__(
        self,
        config: dict[str, Any],
        metrics: Metrics | None = None,
        service_name: str | None = None,
        metrics_factory: MetricsFactory | None = None,
        validate: bool = False,
        scope_manager: Any = None,
    ) -> None:
        if validate:
            self._validate_config(config)
        self.config = config
        self.scope_manager = scope_manager
        if get_boolean(config.get("metrics", True), True):
            self._metrics_factory = metrics_factory or LegacyMetricsFactory(metrics or Metrics())
        else:
            self._metrics_factory = MetricsFactory()
        self._service_name: Any = config.get("service_name", service_name)
        if not self._service_name:
            raise ValueError("service_name required in the config or param")
        self._error_reporter = ErrorReporter(
            metrics=Metrics(), logger=logger if self.logging else None
        )

    def _validate_config(self, config: dict[str, Any]) -> None:
        unexpected = [key for key in config if key not in _VALIDATED_KEYS]
        if unexpected:
            raise ValueError(f"Unexpected keys found in config:{','.join(unexpected)}")

    @property
    def service_name(self) -> str:
        return self._service_name  # type: ignore[no-any-return]

    @property
    def metrics(self) -> None:
        """Deprecated in jaeger_client."""
        return

    @property
    def error_reporter(self) -> ErrorReporter:
        return self._error_reporter

    @property
    def enabled(self) -> bool:
        """For the application to ask; jaeger_client ignored it itself."""
        return bool(get_boolean(self.config.get("enabled", True), True))

    @property
    def reporter_batch_size(self) -> int:
        return int(self.config.get("reporter_batch_size", 10))

    @property
    def reporter_queue_size(self) -> int:
        return int(self.config.get("reporter_queue_size", 100))

    @property
    def reporter_flush_interval(self) -> float:
        """Seconds."""
        return self.config.get("reporter_flush_interval", DEFAULT_FLUSH_INTERVAL)  # type: ignore[no-any-return]

    @property
    def logging(self) -> bool:
        return bool(get_boolean(self.config.get("logging", False), False))

    @property
    def trace_id_header(self) -> str:
        return self.config.get("trace_id_header", TRACE_ID_HEADER)  # type: ignore[no-any-return]

    @property
    def generate_128bit_trace_id(self) -> bool:
        if "generate_128bit_trace_id" in self.config:
            return bool(get_boolean(self.config["generate_128bit_trace_id"], False))
        return os.getenv("JAEGER_TRACEID_128BIT") == "true"

    @property
    def baggage_header_prefix(self) -> str:
        return self.config.get("baggage_header_prefix", BAGGAGE_HEADER_PREFIX)  # type: ignore[no-any-return]

    @property
    def debug_id_header(self) -> str:
        return self.config.get("debug_id_header", DEBUG_ID_HEADER_KEY)  # type: ignore[no-any-return]

    @property
    def max_tag_value_length(self) -> int:
        """Characters."""
        return self.config.get("max_tag_value_length", MAX_TAG_VALUE_LENGTH)  # type: ignore[no-any-return]

    @property
    def max_traceback_length(self) -> int:
        """Characters."""
        return self.config.get("max_traceback_length", MAX_TRACEBACK_LENGTH)  # type: ignore[no-any-return]

    @property
    def sampler(self) -> Any:
        """The sampler the dict names; None means the remote one."""
        chosen = self.config.get("sampler", {})
        if isinstance(chosen, Sampler):
            return chosen
        kind, param = chosen.get("type"), chosen.get("param")
        if not kind:
            return None
        if kind == SAMPLER_TYPE_CONST:
            return ConstSampler(decision=get_boolean(param, False))
        if kind == SAMPLER_TYPE_PROBABILISTIC:
            return ProbabilisticSampler(rate=float(param))
        if kind in (SAMPLER_TYPE_RATE_LIMITING, "rate_limiting"):
            return RateLimitingSampler(max_traces_per_second=float(param))
        raise ValueError(f"Unknown sampler type {kind}")

    @property
    def sampling_refresh_interval(self) -> float:
        """Seconds."""
        return self.config.get("sampling_refresh_interval", DEFAULT_SAMPLING_INTERVAL)  # type: ignore[no-any-return]

    @property
    def max_operations(self) -> int | None:
        return self.config.get("max_operations")

    @property
    def tags(self) -> dict[str, Any]:
        """Process tags of the dict and of JAEGER_TAGS (`k=v,k=v`, which win)."""
        tags = self.config.get("tags", {})
        for pair in filter(None, os.environ.get("JAEGER_TAGS", "").split(",")):
            key, separator, value = pair.partition("=")
            if separator:
                tags[key.strip()] = value.strip()
            else:
                logger.warning("JAEGER_TAGS: %r is no key=value, left out", pair)
        return tags  # type: ignore[no-any-return]

    @property
    def propagation(self) -> dict[str, Codec]:
        if self.config.get("propagation") != "b3":
            return {}
        return {Format.HTTP_HEADERS: B3Codec(self.generate_128bit_trace_id)}

    def local_agent_group(self) -> dict[str, Any] | None:
        return self.config.get("local_agent")

    @property
    def local_agent_enabled(self) -> bool:
        chosen = self._local_agent("enabled", LOCAL_AGENT_DEFAULT_ENABLED)
        return bool(get_boolean(chosen, LOCAL_AGENT_DEFAULT_ENABLED))

    @property
    def local_agent_sampling_port(self) -> int:
        return _port(self._local_agent("sampling_port"), DEFAULT_SAMPLING_PORT)

    @property
    def local_agent_reporting_port(self) -> int:
        from_env = _port(os.getenv("JAEGER_AGENT_PORT"), DEFAULT_REPORTING_PORT)
        return _port(self._local_agent("reporting_port"), from_env)

    @property
    def local_agent_reporting_host(self) -> Any:
        from_env = os.environ.get("JAEGER_AGENT_HOST", DEFAULT_REPORTING_HOST)
        return self._local_agent("reporting_host", from_env)

    def throttler_group(self) -> dict[str, Any] | None:
        return self.config.get("throttler")

    @property
    def throttler_port(self) -> int | None:
        group = self.throttler_group()
        return None if group is None else _port(group.get("port"), DEFAULT_THROTTLER_PORT)

    @property
    def throttler_refresh_interval(self) -> int | None:
        """Seconds."""
        group = self.throttler_group()
        if group is None:
            return None
        return _port(group.get("refresh_interval"), DEFAULT_THROTTLER_REFRESH_INTERVAL)

    @staticmethod
    def initialized() -> bool:
        with Config._initialized_lock:
            return Config._initialized

    def initialize_tracer(self, io_loop: Any = None) -> Tracer | None:
        """Makes the tracer and sets it as `opentracing.tracer`; None (and a warning) when that
        was done before in this process."""
        with Config._initialized_lock:
            if Config._initialized:
                logger.warning("Jaeger tracer already initialized, skipping")
                return None
            Config._initialized = True
        tracer = self.new_tracer(io_loop)
        self._initialize_global_tracer(tracer)
        return tracer

    def new_tracer(self, io_loop: Any = None) -> Tracer:
        """Makes a tracer without setting any global."""
        channel = self._create_local_agent_channel(io_loop)
        sampler = self.sampler or RemoteControlledSampler(
            channel=channel,
            service_name=self.service_name,
            logger=logger,
            metrics_factory=self._metrics_factory,
            error_reporter=self.error_reporter,
            sampling_refresh_interval=self.sampling_refresh_interval,
            max_operations=self.max_operations,
        )
        logger.info("Using sampler %s", sampler)
        reporter: BaseReporter = Reporter(
            channel=channel,
            queue_capacity=self.config.get("reporter_queue_size"),
            batch_size=self.config.get("reporter_batch_size"),
            flush_interval=self.reporter_flush_interval,
            logger=logger,
            metrics_factory=self._metrics_factory,
            error_reporter=self.error_reporter,
        )
        if self.logging:
            reporter = CompositeReporter(reporter, LoggingReporter(logger))
        return self.create_tracer(reporter, sampler, self._throttler(channel))

    def create_tracer(
        self, reporter: BaseReporter, sampler: Any, throttler: Throttler | None = None
    ) -> Tracer:
        """Makes a tracer with the given parts."""
        return Tracer(
            service_name=self.service_name,
            reporter=reporter,
            sampler=sampler,
            metrics_factory=self._metrics_factory,
            trace_id_header=self.trace_id_header,
            generate_128bit_trace_id=self.generate_128bit_trace_id,
            baggage_header_prefix=self.baggage_header_prefix,
            debug_id_header=self.debug_id_header,
            tags=self.tags,
            max_tag_value_length=self.max_tag_value_length,
            max_traceback_length=self.max_traceback_length,
            extra_codecs=self.propagation,
            throttler=throttler,
            scope_manager=self.scope_manager,
        )

    def _throttler(self, channel: LocalAgentSender) -> Throttler | None:
        if self.throttler_group() is None:
            return None
        return RemoteThrottler(
            channel,
            self.service_name,
            refresh_interval=self.throttler_refresh_interval,
            logger=logger,
            metrics_factory=self._metrics_factory,
            error_reporter=self.error_reporter,
        )

    def _initialize_global_tracer(self, tracer: Tracer) -> None:
        opentracing.set_global_tracer(tracer)
        logger.info("opentracing.tracer initialized to %s[app_name=%s]", tracer, self.service_name)

    def _create_local_agent_channel(self, io_loop: Any) -> LocalAgentSender:
        return LocalAgentSender(
            host=self.local_agent_reporting_host,
            sampling_port=self.local_agent_sampling_port,
            reporting_port=self.local_agent_reporting_port,
            throttling_port=self.throttler_port,
            io_loop=io_loop,
        )

    def _local_agent(self, key: str, default: Any = None) -> Any:
        group = self.local_agent_group()
        return group.get(key, default) if isinstance(group, dict) else default


def _port(value: Any, default: int) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return default
