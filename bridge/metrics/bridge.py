"""One object for both ways out: OTLP pushed, Prometheus scraped, whoever recorded the numbers."""

from __future__ import annotations

import atexit
import contextlib
import os
import time
import uuid
import weakref
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from types import TracebackType
from typing import Any

from opentelemetry import metrics as api
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource as SdkResource
from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric as Family

from bridge.metrics.encoder import MAX_REQUEST_BYTES, Encoder, Request, Resource
from bridge.metrics.endpoint import Endpoint, Server, StartResponse
from bridge.metrics.exemplars import install_exemplars
from bridge.metrics.exposition import Format, render, show_registry
from bridge.metrics.from_prometheus import target_attributes
from bridge.metrics.points import Scope
from bridge.metrics.problems import Problems, logger
from bridge.metrics.push import Pusher
from bridge.metrics.registry import (
    COLLECT_SECONDS,
    refuse_loop,
)
from bridge.metrics.sdk import BridgeReader, frozen, otlp_metrics
from bridge.metrics.source import INSTANCE_ID, Source
from bridge.metrics.to_prometheus import Options, Shown, Translator
from bridge.metrics.walk import Walk
from bridge.otlp.settings import Signal, read_settings

SCOPE = Scope("jaeger2otlp.bridge.metrics")
DEFAULT_INTERVAL_SECONDS, DEFAULT_TIMEOUT_SECONDS = 60.0, 30.0


class MetricsBridge:
    """Carries a service's metrics to OTLP and to Prometheus, recorded once.

    Instruments of prometheus_client (`registry`) and of OpenTelemetry (`meter_provider`) are
    both pushed and both shown; a service needs not have both. Nothing happens before `start`.

    - `endpoint`, `protocol`, `headers`: where OTLP goes; else `OTEL_EXPORTER_OTLP_*`.
    - `interval`, `timeout`: seconds; else `OTEL_METRIC_EXPORT_INTERVAL` and `_TIMEOUT`.
    - `push=False`: no OTLP. `port`: an HTTP server of its own (0 takes a free port); without it
      mount `wsgi_app` or `asgi_app`. `OTEL_METRICS_EXPORTER` (`otlp`, `prometheus`, `none`)
      decides what neither argument does.
    - `exemplars=False`: counters and histograms of prometheus_client note no spans.
    - `options`: how OpenTelemetry's metrics are named for Prometheus.

    Raises `LoopError` for a registry that holds the other direction already, `SettingsError`
    for settings that cannot be used, and in `start` `PortInUse`. After that, nothing.
    """

    def __init__(
        self,
        *,
        registry: Any = REGISTRY,
        meter_provider: MeterProvider | None = None,
        resource: SdkResource | None = None,
        endpoint: str | None = None,
        protocol: str | None = None,
        headers: Mapping[str, str] | None = None,
        interval: float | None = None,
        timeout: float | None = None,
        push: bool | None = None,
        port: int | None = None,
        host: str | None = None,
        exemplars: bool = True,
        options: Options | None = None,
        preferred_aggregation: dict[type, Any] | None = None,
        max_request_bytes: int = MAX_REQUEST_BYTES,
        collect_seconds: float = COLLECT_SECONDS,
    ) -> None:
        refuse_loop(registry)
        self._problems = Problems()
        self.reader = BridgeReader(self._problems, preferred_aggregation)
        self._provider = meter_provider
        self._own_provider = False
        self._resource = resource
        self._instance_id = str(uuid.uuid4())
        self._instance_id_at_fork: object = None
        self._parents_instance_id: object = None
        self._exemplars = exemplars
        self._source = Source(registry, self._problems, collect_seconds)
        self._translator = Translator(options or Options(), self._problems)
        self._endpoint = Endpoint(self._render)
        self._encoder = Encoder(self._problems, scope=SCOPE, max_bytes=max_request_bytes)
        self._encoder.default_start = self._source.start
        self._walk = Walk(self._encoder, SCOPE)
        exporters = _exporters()
        self._address = _server_address(host, port, exporters)
        self._server: Server | None = None
        self._pusher: Pusher | None = None
        if push if push is not None else "otlp" in exporters:
            self._pusher = Pusher(
                read_settings(
                    Signal.METRICS, endpoint=endpoint, protocol=protocol, headers=headers
                ),
                self._collect,
                self._encoder.delivered,
                self._problems,
                interval=interval or _env_seconds("INTERVAL", DEFAULT_INTERVAL_SECONDS),
                timeout=timeout or _env_seconds("TIMEOUT", DEFAULT_TIMEOUT_SECONDS),
            )
        self._started = False

    def start(self) -> MetricsBridge:
        """Opens the ways out; returns itself. Call it once, before a server forks workers."""
        if self._started:
            return self
        if self._address is not None:
            self._server = self._endpoint.serve(*self._address)
        try:
            self._attach_reader()
        except Exception:
            self._close_server()
            raise
        self._started = True
        if self._exemplars:
            install_exemplars()
        if self._pusher is not None:
            self.reader.on_shutdown.append(self._flush_quietly)
            self._pusher.start()
        _follow_forks(self)
        atexit.register(self.shutdown)
        return self

    @property
    def meter_provider(self) -> MeterProvider:
        """The provider whose instruments are carried; there once `start` was called."""
        if self._provider is None:
            raise RuntimeError("call start() first, or pass meter_provider")
        return self._provider

    @property
    def port(self) -> int | None:
        """Where the server of its own listens, if there is one."""
        return self._server.port if self._server is not None else None

    def wsgi_app(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """The Prometheus endpoint for Flask, Django or any WSGI server."""
        return self._endpoint.wsgi(environ, start_response)

    async def asgi_app(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        """The Prometheus endpoint for FastAPI, Starlette or any ASGI server."""
        await self._endpoint.asgi(scope, receive, send)

    def problems(self) -> dict[str, int]:
        """What went wrong so far, counted by kind; also a counter on both ways out."""
        return self._problems.counts()

    def flush(self, timeout: float = 10.0) -> bool:
        """Pushes now. False when the receiver did not take everything within `timeout` s."""
        return self._pusher is None or self._pusher.push(timeout)

    def shutdown(self, timeout: float = 10.0) -> bool:
        """Pushes a last time and closes both ways. Also called when the process exits."""
        if not self._started:
            return True
        self._started = False
        atexit.unregister(self.shutdown)
        self.reader.on_shutdown.clear()
        done = self._pusher is None or self._pusher.close(timeout)
        self._close_server()
        self._source.resign()
        if self._own_provider and self._provider is not None:
            self._provider.shutdown()
        return done

    def __enter__(self) -> MetricsBridge:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown()

    def _close_server(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _flush_quietly(self) -> None:
        self.flush()

    def _attach_reader(self) -> None:
        """To the given provider, else the global one, else one of our own."""
        if self.reader._collect is not None:
            return  # the application gave it to its provider itself
        provider = self._provider
        if provider is None:
            current = api.get_meter_provider()
            provider = current if isinstance(current, MeterProvider) else None
        if provider is not None:
            if not hasattr(provider, "add_metric_reader"):
                raise RuntimeError(
                    "this OpenTelemetry SDK takes readers only when the provider is made: "
                    "MeterProvider(metric_readers=[bridge.reader])"
                )
            provider.add_metric_reader(self.reader)
            self._provider = provider
            return
        self._provider = MeterProvider(
            metric_readers=[self.reader],
            resource=self._resource or SdkResource.create(),
            shutdown_on_exit=False,
        )
        self._own_provider = True
        if not isinstance(api.get_meter_provider(), MeterProvider):
            api.set_meter_provider(self._provider)

    def _collect(self) -> Sequence[Request]:
        """Everything as OTLP: called by the push, one call at a time."""
        now = time.time_ns()
        self._encoder.begin(now)
        self._walk.begin()
        if self._source.leads():
            self._add_registry(now)
        data = self.reader.read()
        if data is not None:
            for resource, metric in otlp_metrics(data, self.reader):
                self._encoder.add(metric, self._with_instance(resource))
        self._walk.finish()
        return self._encoder.finish()

    def _add_registry(self, now: int) -> None:
        families, plain = self._source.collect()
        families.extend(self._problem_families())
        resource = self._registry_resource(families)
        for collector in plain:
            if not self._walk.take(collector, now, resource):
                families.extend(self._source.safe.ask(collector))
        for family in families:
            if target_attributes(family) is not None:
                continue
            try:
                self._encoder.add_family(family, resource)
            except Exception as error:  # noqa: BLE001 - samples come from anywhere
                self._problems.report("points dropped", family.name, type(error).__name__)

    def _registry_resource(self, families: Iterable[Family]) -> Resource:
        """The provider's resource, with the labels of `target_info`."""
        base = self._provider_resource()
        attributes = dict(base.attributes)
        attributes.update(self._source.identity)
        for family in families:
            attributes.update(target_attributes(family) or {})
        return self._with_instance(Resource(frozen(attributes), base.schema_url or ""))

    def _provider_resource(self) -> SdkResource:
        config = getattr(self._provider, "_sdk_config", None)
        return getattr(config, "resource", None) or self._resource or SdkResource.create()

    def _with_instance(self, resource: Resource) -> Resource:
        """With a `service.instance.id` that no other process has, not even the one it forked."""
        given = dict(resource.attributes).get(INSTANCE_ID)
        if given is not None and given != self._parents_instance_id:
            return resource
        own = self._instance_id if given is None else f"{given}-{os.getpid()}"
        others = tuple(item for item in resource.attributes if item[0] != INSTANCE_ID)
        return Resource((*others, (INSTANCE_ID, own)), resource.schema_url)

    def _problem_families(self) -> list[Family]:
        found = CounterMetricFamily(
            "metrics_bridge_problems", "What the metrics bridge could not carry.", labels=["kind"]
        )
        for kind, count in self._problems.counts().items():
            found.add_metric([kind], count)
        return [found] if found.samples else []

    def _render(self, format_: Format, names: frozenset[str]) -> bytes:
        """One scrape."""
        shown = Shown(self._problems)
        show_registry(self._source.safe.collect(), shown, self._problems)
        # One process of many: its own numbers would jump from scrape to scrape.
        data = self.reader.read() if self._source.folder is None else None
        if data is not None:
            self._translator.show(data, shown, self.reader.exemplars)
        show_registry(self._problem_families(), shown, self._problems)
        families = list(shown)
        if names:
            families = [f for f in families if not names.isdisjoint(f.sample_names())]
        return render(families, format_, self._problems)

    def before_fork(self) -> None:
        if self._pusher is not None:
            self._pusher.before_fork()
        self.reader.before_fork()
        self._instance_id_at_fork = self._provider_resource().attributes.get(INSTANCE_ID)

    def after_fork_in_parent(self) -> None:
        self.reader.after_fork_in_parent()
        if self._pusher is not None:
            self._pusher.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        """A new process: its own name, its own connection, and counts from zero."""
        self._problems.after_fork()
        self.reader.after_fork_in_child()
        if not self._started:
            return
        self._instance_id = str(uuid.uuid4())
        self._parents_instance_id = self._instance_id_at_fork
        self._endpoint.after_fork()
        if self._server is not None:
            self._server.close_in_child()
            self._server = None
        self._encoder.forget()
        self._walk.forget()
        self._source.after_fork_in_child()
        self._forget_parents_counts()
        if self._pusher is not None:
            self._pusher.after_fork_in_child()

    def _forget_parents_counts(self) -> None:
        """What the parent counted, the parent reports."""
        provider, callbacks = self._provider, list(self.reader.on_shutdown)
        self.reader.on_shutdown.clear()
        if provider is not None and hasattr(provider, "remove_metric_reader"):
            provider.remove_metric_reader(self.reader)
            provider.add_metric_reader(self.reader)
        elif provider is not None:
            logger.warning("metrics: with this SDK a forked process repeats its parent's counts")
        self.reader.on_shutdown.extend(callbacks)
        if self._pusher is not None:
            self._source.forget_counts()


def _exporters() -> set[str]:
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return set()
    named = os.environ.get("OTEL_METRICS_EXPORTER", "").strip().lower() or "otlp"
    return {name.strip() for name in named.split(",")}


def _server_address(
    host: str | None, port: int | None, exporters: set[str]
) -> tuple[str, int] | None:
    if port is None and "prometheus" not in exporters:
        return None
    host = host or os.environ.get("OTEL_EXPORTER_PROMETHEUS_HOST") or "localhost"
    if port is None:
        port = int(os.environ.get("OTEL_EXPORTER_PROMETHEUS_PORT") or 9464)
    return host, port


def _env_seconds(name: str, default: float) -> float:
    """A time of the SDK's environment, which is in milliseconds."""
    try:
        seconds = float(os.environ[f"OTEL_METRIC_EXPORT_{name}"]) / 1000
    except (KeyError, ValueError):
        return default
    return seconds if seconds > 0 else default


def _follow_forks(bridge: MetricsBridge) -> None:
    """Hooks that do not keep the bridge alive."""
    if not hasattr(os, "register_at_fork"):
        return
    known = weakref.ref(bridge)

    def call(name: str) -> Callable[[], None]:
        def hook() -> None:
            found = known()
            if found is not None:
                with contextlib.suppress(Exception):
                    getattr(found, name)()

        return hook

    os.register_at_fork(
        before=call("before_fork"),
        after_in_parent=call("after_fork_in_parent"),
        after_in_child=call("after_fork_in_child"),
    )
