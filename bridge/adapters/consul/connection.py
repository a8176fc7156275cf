"""One connection to a Consul agent: py-consul's client, traced, with errors of ours."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any, Protocol, TypeVar
from weakref import WeakSet

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from bridge.adapters.consul.calls import Ask
from bridge.adapters.consul.client import TracedConsul
from bridge.adapters.consul.model import ConsulSettings
from bridge.adapters.consul.wire import SYSTEM
from bridge.adapters.metrics import Meters
from bridge.adapters.redaction import Secret
from bridge.adapters.tracing import Tracing

_T = TypeVar("_T")


class Closable(Protocol):
    """What a connection ends before itself: watches, registrations."""

    def close(self) -> None: ...


class Common:
    """What the sync and the asyncio connection have alike."""

    client: Any

    def __init__(
        self,
        settings: ConsulSettings | None = None,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self.settings = settings or ConsulSettings()
        self.tracing = Tracing(
            SYSTEM,
            tracer_provider=tracer_provider,
            transport_spans=self.settings.transport_spans,
        )
        self.meters = Meters(SYSTEM, meter_provider)

    def use_token(self, token: Secret | str) -> None:
        """Replaces the ACL token, for running watches too."""
        self.client.token = token.reveal() if isinstance(token, Secret) else token

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.client.http.base_uri})"


class ConsulConnection(Common):
    """A connection that every Consul object of a process may share (it is thread-safe).

    `client` is a whole py-consul client: what has no method here is called on it, traced and
    with the same errors. `close()` ends the watches and registrations made with it.
    """

    def __init__(
        self,
        settings: ConsulSettings | None = None,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        super().__init__(settings, tracer_provider=tracer_provider, meter_provider=meter_provider)
        self.client = TracedConsul(self.settings, self.tracing)
        self._children: WeakSet[Any] = WeakSet()
        self._lock = threading.Lock()

    def run(self, ask: Ask[_T]) -> _T:
        """One call; raises an `AdapterError`."""
        return ask.read(ask.send(self.client))

    def branch(self) -> TracedConsul:
        """A client for one watch: it makes no spans, and can be aborted without the others."""
        return TracedConsul(self.settings, self.tracing, self.client.credentials)

    def adopt(self, child: Closable) -> None:
        """Remembers what `close()` ends first."""
        with self._lock:
            self._children.add(child)

    def close(self) -> None:
        """Ends watches, registrations and sockets. Calls after it raise `Closed`."""
        with self._lock:
            children = list(self._children)
        for child in children:
            child.close()
        self.client.http.abort()

    def __enter__(self) -> ConsulConnection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
