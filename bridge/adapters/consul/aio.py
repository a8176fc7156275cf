"""The Consul adapter for asyncio: the same objects, to be awaited.

Needs the extra `consul-async`. Make and close a connection inside one running event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

import aiohttp
import consul.aio
from consul.base import HTTPClient, Response
from consul.std import DEFAULT_WAIT, parse_duration
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from bridge.adapters import errors
from bridge.adapters.consul import calls
from bridge.adapters.consul.calls import Ask, Blocking
from bridge.adapters.consul.config import (
    CachedValues,
    event_attributes,
    interrupted,
    watch_name,
)
from bridge.adapters.consul.connection import Credentials, client_arguments
from bridge.adapters.consul.model import (
    Consistency,
    ConsulSettings,
    Entry,
    Health,
    Instance,
    KeyEvent,
    Operation,
    Service,
    TtlCheck,
)
from bridge.adapters.consul.registry import PRESENCE_INTERVAL, instances_attributes
from bridge.adapters.consul.watch import (
    AFTER_CHANGE,
    AFTER_NOTHING,
    Cursor,
    InstanceDiffer,
    KeyDiffer,
)
from bridge.adapters.consul.wire import SYSTEM, Params, Wire, is_tls
from bridge.adapters.errors import AdapterError, NotFound, ServerFailed, Unavailable
from bridge.adapters.metrics import Meters
from bridge.adapters.redaction import Secret
from bridge.adapters.tracing import Tracing, origin
from bridge.adapters.worker import AsyncWorker, Change, Delivery, OnState, State, Supervisor

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_S = TypeVar("_S")
_E = TypeVar("_E")


class AsyncClosable(Protocol):
    """What a connection ends before itself."""

    async def close(self) -> None: ...


class AsyncConsulConnection:
    """`ConsulConnection` for asyncio; `client` is py-consul's asyncio client, traced."""

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
        self.client = AsyncTracedConsul(self.settings, self.tracing)
        self._children: list[AsyncClosable] = []

    async def run(self, ask: Ask[_T]) -> _T:
        """One call; raises an `AdapterError`."""
        return ask.read(await ask.send(self.client))

    def branch(self) -> AsyncTracedConsul:
        """A client for one watch: it makes no spans."""
        return AsyncTracedConsul(self.settings, self.tracing, self.client.credentials)

    def use_token(self, token: Secret | str) -> None:
        """Replaces the ACL token, for running watches too."""
        self.client.token = token.reveal() if isinstance(token, Secret) else token

    def adopt(self, child: AsyncClosable) -> None:
        self._children.append(child)

    def forget(self, child: AsyncClosable) -> None:
        with contextlib.suppress(ValueError):
            self._children.remove(child)

    async def close(self) -> None:
        """Ends watches, registrations and sockets. Calls after it raise `Closed`."""
        for child in list(self._children):
            await child.close()
        await self.client.http.close()

    async def __aenter__(self) -> AsyncConsulConnection:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncConsulConnection({self.client.http.base_uri})"


class AsyncTracedConsul(consul.aio.Consul):  # type: ignore[misc]
    """py-consul's asyncio client over our HTTP client; as `TracedConsul`."""

    http: AsyncTracedHTTPClient

    def __init__(
        self, settings: ConsulSettings, tracing: Tracing, shared: Credentials | None = None
    ) -> None:
        self._settings = settings
        self._tracing = tracing
        self._traced = shared is None
        self.credentials = Credentials()
        super().__init__(**client_arguments(settings))
        self.credentials = shared or self.credentials.preferring(settings)

    @property
    def token(self) -> str | None:
        return self.credentials.token

    @token.setter
    def token(self, token: str | None) -> None:
        self.credentials.token = token

    def http_connect(
        self, host: str, port: int, scheme: str, verify: bool | str = True, cert: Any = None
    ) -> AsyncTracedHTTPClient:
        policy = self._settings.key_policy
        wire = Wire(self._tracing, policy, host, port, traced=self._traced)
        return AsyncTracedHTTPClient(wire, self._settings.timeout, host, port, scheme, verify, cert)


class AsyncTracedHTTPClient(HTTPClient):  # type: ignore[misc]
    """The one place through which every asyncio call leaves. Its session opens at first use."""

    base_uri: str

    def __init__(self, wire: Wire, timeout: float, *args: Any) -> None:
        super().__init__(*args)
        self._wire = wire
        self._timeout = timeout
        self._closed = False
        self._session: aiohttp.ClientSession | None = None

    def get(
        self,
        callback: Callable[[Response], Any],
        path: str,
        params: Params | None = None,
        headers: MutableMapping[str, str] | None = None,
        raw: bool = False,
        connections_timeout: float | None = None,
    ) -> Awaitable[Any]:
        return self._send("GET", callback, path, params, None, headers, connections_timeout, raw)

    def put(
        self,
        callback: Callable[[Response], Any],
        path: str,
        params: Params | None = None,
        data: str | bytes = "",
        headers: MutableMapping[str, str] | None = None,
        connections_timeout: float | None = None,
    ) -> Awaitable[Any]:
        return self._send("PUT", callback, path, params, data, headers, connections_timeout)

    def delete(
        self,
        callback: Callable[[Response], Any],
        path: str,
        params: Params | None = None,
        data: str | bytes = "",
        headers: MutableMapping[str, str] | None = None,
        connections_timeout: float | None = None,
    ) -> Awaitable[Any]:
        return self._send("DELETE", callback, path, params, data, headers, connections_timeout)

    def post(
        self,
        callback: Callable[[Response], Any],
        path: str,
        params: Params | None = None,
        data: str = "",
        headers: MutableMapping[str, str] | None = None,
        connections_timeout: float | None = None,
    ) -> Awaitable[Any]:
        return self._send("POST", callback, path, params, data, headers, connections_timeout)

    async def close(self) -> None:
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def _send(
        self,
        method: str,
        callback: Callable[[Response], Any],
        path: str,
        params: Params | None,
        data: str | bytes | None,
        headers: MutableMapping[str, str] | None,
        timeout: float | None = None,
        raw: bool = False,
    ) -> Any:
        request, call = self._wire.begin(method, path, params, data, self._transport_error)
        with call:
            if self._closed:
                raise errors.Closed(f"{SYSTEM} {request.operation}")
            headers = {} if headers is None else headers
            call.inject(headers)
            async with self._open().request(
                method,
                self.uri(path, params),
                headers=headers,
                data=data,
                timeout=self._deadline(params, timeout),
            ) as answer:
                body = await answer.read() if raw else await answer.text("utf-8")
            response = Response(answer.status, answer.headers, body)
            return self._wire.finish(request, call, response, callback)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            context: ssl.SSLContext | bool = True
            if self.scheme == "https":
                context = _ssl_context(self.verify, self.cert)
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))
        return self._session

    def _deadline(self, params: Params | None, timeout: float | None) -> aiohttp.ClientTimeout:
        # aiohttp's own default, 300 s in all, is shorter than Consul's default wait.
        total = timeout or self._timeout
        given = dict(params or ())
        if "index" in given:
            wait = parse_duration(given["wait"]) if "wait" in given else DEFAULT_WAIT
            total += wait + wait / 16
        return aiohttp.ClientTimeout(total=total, sock_connect=self._timeout)

    def _transport_error(self, error: BaseException) -> type[AdapterError] | None:
        if self._closed and isinstance(error, (OSError, RuntimeError, aiohttp.ClientError)):
            return errors.Closed
        if isinstance(error, (asyncio.TimeoutError, TimeoutError)):
            return errors.DeadlineExceeded
        if isinstance(error, (aiohttp.InvalidURL, UnicodeError)):
            return errors.InvalidRequest
        if isinstance(error, (OSError, aiohttp.ClientError)):
            return errors.TlsRefused if is_tls(error) else errors.Unavailable
        return None


def _ssl_context(verify: bool | str, certificate: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if isinstance(certificate, tuple):
        context.load_cert_chain(*certificate)
    elif certificate:
        context.load_cert_chain(certificate)
    return context


class AsyncWatch(Generic[_S, _E]):
    """`Watch` as an asyncio task; callbacks may be coroutine functions."""

    def __init__(
        self,
        connection: AsyncConsulConnection,
        name: str,
        read: Callable[[Blocking], Ask[tuple[int, _S]]],
        changes_in: Callable[[_S], list[_E]],
        deliver: Callable[[_E, float], Awaitable[None]],
        on_state: OnState | None = None,
    ) -> None:
        self._connection = connection
        self._client = connection.branch()
        self._read = read
        self._changes_in = changes_in
        self._deliver = deliver
        self._cursor = Cursor()
        supervisor = Supervisor(name, connection.tracing, on_state=on_state)
        self._worker = AsyncWorker(supervisor, self._step)
        connection.adopt(self)
        self._worker.start()

    @property
    def state(self) -> State:
        return self._worker.state

    @property
    def error(self) -> AdapterError | None:
        """Why the state is LOST."""
        return self._worker.supervisor.error

    async def close(self) -> None:
        self._connection.forget(self)
        await self._worker.stop()
        await self._client.http.close()

    async def __aenter__(self) -> AsyncWatch[_S, _E]:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def _step(self) -> float:
        try:
            ask = self._read(Blocking(self._cursor.index, self._connection.settings.wait))
            index, state = ask.read(await ask.send(self._client))
        except AdapterError as error:
            self._cursor.reset()
            self._connection.meters.watch_restart(error)
            raise
        arrived = time.monotonic()
        self._cursor.advance(index)
        events = self._changes_in(state)
        for event in events:
            await self._deliver(event, time.monotonic() - arrived)
        return AFTER_CHANGE if events else AFTER_NOTHING


AsyncKeyWatch = AsyncWatch[dict[str, Entry], KeyEvent]
AsyncInstancesWatch = AsyncWatch[list[Instance], list[Instance]]


class AsyncConfigStore:
    """`ConfigStore` for asyncio."""

    def __init__(self, connection: AsyncConsulConnection) -> None:
        self._connection = connection

    async def get(self, key: str, *, consistency: Consistency | None = None) -> Entry | None:
        return await self._connection.run(calls.get(key, consistency))

    async def put(self, key: str, value: bytes | str) -> None:
        await self._connection.run(calls.put(key, value))

    async def compare_and_set(self, key: str, value: bytes | str, index: int) -> bool:
        return await self._connection.run(calls.put(key, value, index))

    async def delete(self, key: str) -> None:
        await self._connection.run(calls.delete(key))

    async def compare_and_delete(self, key: str, index: int) -> bool:
        return await self._connection.run(calls.delete(key, index))

    async def delete_tree(self, prefix: str) -> None:
        await self._connection.run(calls.delete_tree(prefix))

    async def list(self, prefix: str, *, consistency: Consistency | None = None) -> list[Entry]:
        return await self._connection.run(calls.entries(prefix, consistency))

    async def keys(self, prefix: str) -> Sequence[str]:
        return await self._connection.run(calls.keys(prefix))

    async def transaction(self, operations: Sequence[Operation]) -> Sequence[Entry]:
        return await self._connection.run(calls.transaction(operations))

    async def batch(self, operations: Sequence[Operation]) -> None:
        applied = 0
        for ask, size in calls.transactions(operations):
            try:
                await self._connection.run(ask)
            except AdapterError as error:
                if not applied:
                    raise
                raise interrupted(error, applied) from error
            applied += size

    def watch(
        self, key: str, callback: Callable[[KeyEvent], object], *, on_state: OnState | None = None
    ) -> AsyncKeyWatch:
        return self._watch(key, calls.key_state, self._delivery(key, callback), on_state)

    def watch_prefix(
        self,
        prefix: str,
        callback: Callable[[KeyEvent], object],
        *,
        on_state: OnState | None = None,
    ) -> AsyncKeyWatch:
        return self._watch(prefix, calls.prefix_state, self._delivery(prefix, callback), on_state)

    def cache(self, prefix: str, *, on_state: OnState | None = None) -> AsyncConfigCache:
        return AsyncConfigCache(
            lambda cache: self._watch(prefix, calls.prefix_state, cache.taken, cache.told),
            on_state,
        )

    def _watch(
        self,
        key: str,
        read: Callable[[str, Blocking], Ask[tuple[int, dict[str, Entry]]]],
        deliver: Callable[[KeyEvent, float], Awaitable[None]],
        on_state: OnState | None,
    ) -> AsyncKeyWatch:
        name = watch_name(self._connection.settings.key_policy, key)
        return AsyncWatch(
            self._connection, name, lambda at: read(key, at), KeyDiffer(), deliver, on_state
        )

    def _delivery(
        self, key: str, callback: Callable[[KeyEvent], object]
    ) -> Callable[[KeyEvent, float], Awaitable[None]]:
        policy = self._connection.settings.key_policy
        return Delivery(
            watch_name(policy, key),
            callback,
            self._connection.tracing,
            self._connection.meters,
            lambda event: event_attributes(policy, event),
        ).asynchronous


class AsyncConfigCache(CachedValues):
    """`ConfigCache` for asyncio; reading it needs no await."""

    def __init__(
        self, start: Callable[[AsyncConfigCache], AsyncKeyWatch], on_state: OnState | None
    ) -> None:
        super().__init__()
        self._loaded = asyncio.Event()
        self._on_state = on_state
        self._watch = start(self)

    async def taken(self, event: KeyEvent, lag: float = 0.0) -> None:
        self.take(event)

    def told(self, change: Change) -> None:
        if change.state is State.UP:
            self._loaded.set()
        if self._on_state:
            self._on_state(change)

    async def wait(self, timeout: float = 10.0) -> bool:
        """Whether everything has been read once, within `timeout` seconds."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._loaded.wait(), timeout)
        return self._loaded.is_set()

    @property
    def state(self) -> State:
        return self._watch.state

    async def close(self) -> None:
        await self._watch.close()

    async def __aenter__(self) -> AsyncConfigCache:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()


class AsyncServiceRegistry:
    """`ServiceRegistry` for asyncio."""

    def __init__(self, connection: AsyncConsulConnection) -> None:
        self._connection = connection

    async def register(
        self, service: Service, *, required: bool = True, on_state: OnState | None = None
    ) -> AsyncRegistration:
        try:
            await self._connection.run(calls.register(service))
        except Unavailable:
            if required:
                raise
        return AsyncRegistration(self._connection, service, on_state)

    async def discover(
        self,
        name: str,
        *,
        tags: Sequence[str] = (),
        healthy: bool = True,
        consistency: Consistency | None = None,
    ) -> list[Instance]:
        return (await self._connection.run(calls.instances(name, tags, healthy, consistency)))[1]

    def watch(
        self,
        name: str,
        callback: Callable[[list[Instance]], object],
        *,
        tags: Sequence[str] = (),
        healthy: bool = True,
        on_state: OnState | None = None,
    ) -> AsyncInstancesWatch:
        deliver = Delivery(
            f"consul watch {name}",
            callback,
            self._connection.tracing,
            self._connection.meters,
            lambda found: instances_attributes(name, found),
        )
        return AsyncWatch(
            self._connection,
            f"consul watch {name}",
            lambda at: calls.instances(name, tags, healthy, at=at),
            InstanceDiffer(),
            deliver.asynchronous,
            on_state,
        )


class AsyncRegistration:
    """`Registration` for asyncio."""

    def __init__(
        self, connection: AsyncConsulConnection, service: Service, on_state: OnState | None
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
        self._worker = AsyncWorker(supervisor, self._step)
        connection.adopt(self)
        self._worker.start()

    @property
    def state(self) -> State:
        return self._worker.state

    async def report(self, health: Health) -> None:
        self._health = health
        await self._connection.run(calls.report(self.service.id, health))

    async def deregister(self) -> None:
        self._closed = True
        self._connection.forget(self)
        await self._worker.stop()
        await self._client.http.close()
        with contextlib.suppress(NotFound):  # the agent may have forgotten it
            await self._connection.run(calls.deregister(self.service.id))

    async def close(self) -> None:
        if self._closed:
            return
        try:
            await self.deregister()
        except AdapterError as error:
            _log.warning("%s is still registered: %s", self.service.name, error)

    async def __aenter__(self) -> AsyncRegistration:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def _step(self) -> float:
        check = self.service.check
        if isinstance(check, TtlCheck):
            await self._heartbeat(check)
            return check.ttl / 3
        if not await self._quietly(calls.is_registered(self.service.id)):
            await self._register_again()
        return PRESENCE_INTERVAL

    async def _heartbeat(self, check: TtlCheck) -> None:
        health = check.health() if check.health else self._health
        ask = calls.report(self.service.id, health)
        try:
            await self._quietly(ask)
        except (NotFound, ServerFailed) as error:
            self._connection.meters.heartbeat(error)
            if await self._quietly(calls.is_registered(self.service.id)):
                raise
            await self._register_again()
            await self._quietly(ask)
        except AdapterError as error:
            self._connection.meters.heartbeat(error)
            raise
        self._connection.meters.heartbeat()

    async def _quietly(self, ask: Ask[bool]) -> bool:
        return ask.read(await ask.send(self._client))

    async def _register_again(self) -> None:
        name = f"consul registration {self.service.name} renewed"
        with self._connection.tracing.background(name, self._origin):
            await self._connection.run(calls.register(self.service))
