"""Dynamic database credentials: renewed, rotated before their end, revoked on close."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from bridge.adapters import conventions as c
from bridge.adapters.errors import AdapterError, Forbidden, LeaseLost, NotFound, Unauthenticated
from bridge.adapters.redaction import Secret
from bridge.adapters.tracing import origin
from bridge.adapters.vault.connection import VaultConnection
from bridge.adapters.vault.renewal import is_capped, pause_before_renewal
from bridge.adapters.worker import OnState, State, Supervisor, Worker, guarded


@dataclass(frozen=True, slots=True)
class Credentials:
    """One user that Vault made. `generation` grows with every rotation."""

    username: Secret
    password: Secret
    generation: int


# How often to look whether the token was replaced.
LOOK_SECONDS = 1.0


class _Lease:
    def __init__(
        self, id_: str, login: int, seconds: float, asked: float, credentials: Credentials
    ) -> None:
        self.id = id_
        self.login = login
        self.granted = seconds
        self.credentials = credentials
        self.set(seconds, asked)

    def set(self, seconds: float, asked: float) -> None:
        """`asked` is the time.monotonic() from which the seconds count."""
        self.seconds = seconds
        self.ends = asked + seconds
        self.renew_at = asked + pause_before_renewal(seconds)


class DynamicCredentials:
    """Credentials of one role of the database engine, always usable until `close`.

    The lease is renewed at two thirds of its time. New credentials are taken while the old ones
    still work when a renewal gives clearly less (the longest life, max TTL, is near) or fails for
    good, and when the connection has logged in anew (a token's end is that of its leases).
    `on_rotate` is told. The old ones are left to run out, so that a query under way ends in
    peace; `close` revokes them all.
    """

    def __init__(
        self,
        connection: VaultConnection,
        role: str,
        *,
        mount: str = "database",
        on_rotate: Callable[[Credentials], object] | None = None,
        on_state: OnState | None = None,
    ) -> None:
        self._connection = connection
        self._role = role
        self._mount = mount
        self._on_rotate = on_rotate
        self._attributes = {c.VAULT_ENGINE: "database"}
        self._lock = threading.Lock()
        self._origin = origin()
        self._retired: list[_Lease] = []
        self._lease = self._take(generation=1)
        supervisor = Supervisor(
            "vault credentials", connection.tracing, on_state=on_state, give_up_on=(NotFound,)
        )
        supervisor.succeeded()
        self._keeper = Worker(supervisor, self._keep)
        self._keeper.start()

    @property
    def current(self) -> Credentials:
        """What a new database connection should log in with."""
        return self._lease.credentials

    @property
    def state(self) -> State:
        return self._keeper.state

    def _take(self, generation: int) -> _Lease:
        login = self._connection.logins
        with self._connection.traced("credentials", self._mount, self._attributes) as call:
            asked = time.monotonic()
            answer = self._connection.client.secrets.database.generate_credentials(
                self._role, mount_point=self._mount
            )
            seconds = float(answer["lease_duration"])
            call.set(c.VAULT_LEASE_DURATION, seconds)
            call.set(c.VAULT_LEASE_RENEWABLE, bool(answer["renewable"]))
        data = answer["data"]
        credentials = Credentials(Secret(data["username"]), Secret(data["password"]), generation)
        return _Lease(answer["lease_id"], login, seconds, asked, credentials)

    def _keep(self) -> float:
        lease = self._lease
        if lease.login != self._connection.logins:
            self.rotate()
            return 0.0
        left = lease.renew_at - time.monotonic()
        if left > 0:
            return min(left, LOOK_SECONDS)
        error = self._renew(lease)
        self._connection.meters.renewal(error)
        final = isinstance(error, (LeaseLost, Forbidden, Unauthenticated))
        if final or is_capped(lease.seconds, lease.granted) or time.monotonic() >= lease.ends:
            self.rotate()
        elif error is not None:
            raise error
        return 0.0

    def _renew(self, lease: _Lease) -> AdapterError | None:
        asked = time.monotonic()
        try:
            with self._connection.quiet("renew lease"):
                answer: Any = self._connection.client.sys.renew_lease(lease.id)
        except AdapterError as error:
            return error
        lease.set(float(answer["lease_duration"]), asked)
        return None

    def rotate(self) -> Credentials:
        """Takes new credentials now (a password may be known, say). Raises `AdapterError`."""
        with self._lock:
            tracing = self._connection.tracing
            with tracing.background("vault credentials rotate", self._origin, self._attributes):
                lease = self._take(self._lease.credentials.generation + 1)
                now = time.monotonic()
                self._retired = [old for old in (*self._retired, self._lease) if old.ends > now]
                self._lease = lease
                if self._on_rotate is not None:
                    guarded(self._on_rotate, lease.credentials)
        return lease.credentials

    def close(self) -> None:
        """Ends the renewals and revokes the credentials. Never raises; safe to call twice."""
        self._keeper.stop()
        with self._lock:
            leases, self._retired = [*self._retired, self._lease], []
        for lease in leases:
            if lease.ends <= time.monotonic():
                continue
            lease.ends = 0.0
            try:
                with self._connection.traced("revoke lease", self._mount, self._attributes):
                    self._connection.client.sys.revoke_lease(lease.id)
            except AdapterError:
                continue  # it runs out by itself; the span tells

    def __enter__(self) -> DynamicCredentials:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace_: TracebackType | None,
    ) -> None:
        self.close()


def use_with_sqlalchemy(engine: Any, credentials: DynamicCredentials) -> None:
    """Makes a SQLAlchemy engine log in with the current credentials.

    Pooled connections of before a rotation are replaced when they are next taken out of the
    pool; the engine's URL needs no user and no password.
    """
    from sqlalchemy import event
    from sqlalchemy.exc import DisconnectionError

    generations = "jaeger2otlp.vault.generation"

    def do_connect(dialect: Any, record: Any, arguments: Any, parameters: dict[str, Any]) -> None:
        current = credentials.current
        parameters["user"] = current.username.reveal()
        parameters["password"] = current.password.reveal()
        record.info[generations] = current.generation

    def checkout(connection: Any, record: Any, proxy: Any) -> None:
        if record.info.get(generations) != credentials.current.generation:
            raise DisconnectionError("the credentials were rotated")

    event.listen(engine, "do_connect", do_connect)
    event.listen(engine, "checkout", checkout)


def psycopg_pool_arguments(credentials: DynamicCredentials, **connect: Any) -> dict[str, Any]:
    """Arguments for `psycopg_pool.ConnectionPool`, sync: `ConnectionPool(**arguments)`.

    `connect` are psycopg's own (host, port, dbname, ...). Pooled connections of before a
    rotation are replaced when they are next taken out of the pool. Needs psycopg_pool 3.3.
    """
    from psycopg import OperationalError

    def login() -> dict[str, Any]:
        current = credentials.current
        return {
            **connect,
            "user": current.username.reveal(),
            "password": current.password.reveal(),
        }

    def check(connection: Any) -> None:
        if connection.info.user != credentials.current.username.reveal():
            connection.close()  # the pool would keep one that still answers
            raise OperationalError("the credentials were rotated")

    return {"kwargs": login, "check": check}
