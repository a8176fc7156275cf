"""Service registration that lasts, and discovery."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import TypeAlias

from bridge.adapters import conventions as c
from bridge.adapters.consul import calls
from bridge.adapters.consul.connection import Common, ConsulConnection
from bridge.adapters.consul.model import Consistency, Health, Instance, Service, TtlCheck
from bridge.adapters.consul.watch import InstanceDiffer, Watch
from bridge.adapters.errors import AdapterError, NotFound, ServerFailed, Unavailable
from bridge.adapters.tracing import origin
from bridge.adapters.worker import Delivery, OnState, State, Supervisor, Worker

# Seconds between two looks whether the agent still knows a service without a TTL check.
PRESENCE_INTERVAL = 5.0

_log = logging.getLogger(__name__)

InstancesWatch: TypeAlias = "Watch[list[Instance], list[Instance]]"


class ServiceRegistry:
    """Registers services with the agent of a connection and finds others."""

    def __init__(self, connection: ConsulConnection) -> None:
        self._connection = connection

    def register(
        self, service: Service, *, required: bool = True, on_state: OnState | None = None
    ) -> Registration:
        """Registers now, and again whenever the agent has forgotten it, until `close()`.

        When the agent cannot be reached this raises `Unavailable`; with `required=False` the
        service starts all the same and is registered as soon as the agent is back.
        """
        try:
            self._connection.run(calls.register(service))
        except Unavailable:
            if required:
                raise
        return Registration(self._connection, service, on_state)

    def discover(
        self,
        name: str,
        *,
        tags: Sequence[str] = (),
        healthy: bool = True,
        consistency: Consistency | None = None,
    ) -> list[Instance]:
        """The instances of a service that have all the tags; only passing ones by default.

        "consistent" asks the leader again (fails without a quorum), "stale" takes any server's
        answer (works without one).
        """
        return self._connection.run(calls.instances(name, tags, healthy, consistency))[1]

    def watch(
        self,
        name: str,
        callback: Callable[[list[Instance]], object],
        *,
        tags: Sequence[str] = (),
        healthy: bool = True,
        on_state: OnState | None = None,
    ) -> InstancesWatch:
        """Calls `callback` with the instances: now, and whenever they or their health change."""
        return Watch(
            self._connection,
            f"consul watch {name}",
            lambda at: calls.instances(name, tags, healthy, at=at),
            InstanceDiffer(),
            instances_delivery(self._connection, name, callback),
            on_state,
        )


class Registration:
    """One registered service; a context manager. `close()` deregisters it."""

    def __init__(
        self, connection: ConsulConnection, service: Service, on_state: OnState | None
    ) -> None:
        self.service = service
        self._connection = connection
        self._origin = origin()
        self._health = Health.PASSING
        self._closed = False
        supervisor = Supervisor(
            f"consul registration {service.name}", connection.tracing, on_state=on_state
        )
        self._client = connection.branch()
        self._worker = Worker(supervisor, self._step, self._client.http.abort)
        connection.adopt(self)
        self._worker.start()

    @property
    def state(self) -> State:
        """UP while the agent has the service."""
        return self._worker.state

    def report(self, health: Health) -> None:
        """For a TTL check: what is reported from now on, beginning now."""
        self._health = health
        self._connection.run(calls.report(self.service.id, health))

    def deregister(self) -> None:
        """Ends the registration; raises when Consul cannot be told."""
        self._closed = True
        self._worker.stop()
        with contextlib.suppress(NotFound):  # the agent may have forgotten it
            self._connection.run(calls.deregister(self.service.id))

    def close(self) -> None:
        """Ends the registration; when Consul cannot be told, the log says so."""
        if self._closed:
            return
        try:
            self.deregister()
        except AdapterError as error:
            _log.warning("%s is still registered: %s", self.service.name, error)

    def __enter__(self) -> Registration:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _step(self) -> float:
        check = self.service.check
        if isinstance(check, TtlCheck):
            self._heartbeat(check)
            return check.ttl / 3
        if not self._quietly(calls.is_registered(self.service.id)):
            self._register_again()
        return PRESENCE_INTERVAL

    def _heartbeat(self, check: TtlCheck) -> None:
        health = check.health() if check.health else self._health
        ask = calls.report(self.service.id, health)
        try:
            self._quietly(ask)
        except (NotFound, ServerFailed) as error:  # older agents answer 500 for an unknown check
            self._connection.meters.heartbeat(error)
            if self._quietly(calls.is_registered(self.service.id)):
                raise
            self._register_again()
            self._quietly(ask)
        except AdapterError as error:
            self._connection.meters.heartbeat(error)
            raise
        self._connection.meters.heartbeat()

    def _quietly(self, ask: calls.Ask[bool]) -> bool:
        return ask.read(ask.send(self._client))

    def _register_again(self) -> None:
        name = f"consul registration {self.service.name} renewed"
        with self._connection.tracing.background(name, self._origin):
            self._connection.run(calls.register(self.service))


def instances_delivery(
    connection: Common, name: str, callback: Callable[[list[Instance]], object]
) -> Delivery[list[Instance]]:
    return Delivery(
        f"consul watch {name}",
        callback,
        connection.tracing,
        connection.meters,
        lambda found: {c.CONSUL_SERVICE_NAME: name, c.CONSUL_INSTANCES_COUNT: len(found)},
    )
