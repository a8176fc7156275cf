"""A connection to Vault or OpenBao: hvac's client, logged in, traced, with errors of ours."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextvars import ContextVar, Token
from functools import partial
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import hvac
import requests
from hvac.adapters import JSONAdapter
from hvac.exceptions import VaultError
from opentelemetry import metrics, trace
from opentelemetry.util.types import AttributeValue

from bridge.adapters import conventions as c
from bridge.adapters.errors import (
    AdapterError,
    Closed,
    Forbidden,
    LeaseLost,
    Unauthenticated,
)
from bridge.adapters.http import DirectSession
from bridge.adapters.metrics import Meters
from bridge.adapters.redaction import Secret
from bridge.adapters.tracing import Call, Tracing
from bridge.adapters.vault.auth import Auth
from bridge.adapters.vault.errors import from_exception, keep_status, status_of
from bridge.adapters.vault.renewal import is_capped, pause_before_renewal
from bridge.adapters.worker import OnState, Supervisor, Worker

DEFAULT_TIMEOUT_SECONDS = 10.0
LOGIN_OPERATION = "login"

# The operation that is under way in this thread or task.
_current: ContextVar[VaultCall | None] = ContextVar("vault call", default=None)


class VaultCall:
    """One operation, current while its `with` block runs: its name for errors and, unless it is
    background work, its span."""

    __slots__ = ("_token", "call", "operation")
    _token: Token[VaultCall | None]

    def __init__(self, operation: str, call: Call) -> None:
        self.operation = operation
        self.call = call

    def set(self, name: str, value: AttributeValue) -> None:
        self.call.set(name, value)

    def __enter__(self) -> VaultCall:
        self.call.__enter__()
        self._token = _current.set(self)
        return self

    def __exit__(self, *exception: Any) -> None:
        _current.reset(self._token)
        self.call.__exit__(*exception)


class VaultConnection:
    """One Vault, one token. Thread-safe; a context manager.

    Either `token`, or `auth` to log in with: then the token is renewed at two thirds of its time
    in the background, and replaced by a new login when it cannot be renewed further or was
    revoked. A `token` that is renewable is renewed as long as Vault lets it.

    `client` is the whole hvac client: what has no method here is called on it, traced and with
    the same errors. `ca` is a PEM file, `certificate` a pair of PEM files for mTLS.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | Secret | None = None,
        auth: Auth | None = None,
        namespace: str | None = None,
        ca: str | None = None,
        certificate: tuple[str, str] | None = None,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
        transport_spans: bool = False,
        on_state: OnState | None = None,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        if (token is None) == (auth is None):
            raise ValueError("either token or auth is wanted")
        parts = urlsplit(url)
        self.tracing = Tracing(
            "vault", tracer_provider=tracer_provider, transport_spans=transport_spans
        )
        self.meters = Meters("vault", meter_provider)
        self._server: dict[str, AttributeValue] = {
            c.SERVICE_PEER_NAME: "vault",
            c.SERVER_ADDRESS: parts.hostname or "",
            c.SERVER_PORT: parts.port or (443 if parts.scheme == "https" else 80),
        }
        self._auth = auth
        self._login_lock = threading.Lock()
        self.logins = 0  # leases end with the token that took them
        self.closed = False
        self.client: Any = hvac.Client(
            url=url,
            token=token.reveal() if isinstance(token, Secret) else token,
            namespace=namespace,
            verify=ca or True,
            cert=certificate,
            timeout=timeout,
            adapter=partial(_TracedAdapter, self),
        )
        # What hvac reads from the environment or the home folder must not replace our token.
        self._adapter.token = token.reveal() if isinstance(token, Secret) else token
        supervisor = Supervisor(
            "vault token", self.tracing, on_state=on_state, give_up_on=(Forbidden, Unauthenticated)
        )
        self._renewals = Worker(supervisor, self._renew_token)
        self._token_seconds = self._first_seconds()
        self._granted_seconds = self._token_seconds
        self._renew_at = time.monotonic() + pause_before_renewal(self._token_seconds)
        if self._token_seconds:
            self._renewals.start()

    # --- calls

    def traced(
        self, operation: str, mount: str, attributes: Mapping[str, AttributeValue] | None = None
    ) -> VaultCall:
        """One operation as a CLIENT span, named by the operation and the mount."""
        described = {**self._server, c.VAULT_OPERATION: operation, c.VAULT_MOUNT: mount}
        if attributes:
            described.update(attributes)
        translate = partial(from_exception, operation)
        return VaultCall(operation, self.tracing.call(f"{operation} {mount}", described, translate))

    def quiet(self, operation: str) -> VaultCall:
        """Background traffic: no span."""
        return VaultCall(operation, self.tracing.untraced(partial(from_exception, operation)))

    @property
    def _adapter(self) -> _TracedAdapter:
        adapter: _TracedAdapter = self.client._adapter
        return adapter

    # --- the token

    def _first_seconds(self) -> float:
        """Logs in, or looks at the token given; the seconds until it runs out, 0 for never."""
        if self._auth is not None:
            return self._login()
        with self.traced("lookup token", "auth/token"):
            data = self.client.auth.token.lookup_self()["data"]
        return float(data["ttl"]) if data.get("renewable") else 0.0

    def _login(self) -> float:
        assert self._auth is not None
        mount = f"auth/{self._auth.mount}"
        with self.traced(LOGIN_OPERATION, mount):
            answer = self._adapter.post(f"/v1/{mount}/login", json=dict(self._auth.payload()))
        granted = answer["auth"]
        self._adapter.token = granted["client_token"]
        self.logins += 1
        return float(granted["lease_duration"])

    def login_again(self, refused: str | None) -> bool:
        """After a token was refused: whether there is a new one (another thread's, perhaps)."""
        if self._auth is None or self.closed:
            return False
        with self._login_lock:
            if self._adapter.token == refused:
                self._token_seconds = self._granted_seconds = self._login()
        return True

    def _renew_token(self) -> float:
        left = self._renew_at - time.monotonic()
        if left > 0:
            return left
        error: AdapterError | None = None
        try:
            with self.quiet("renew token"):
                answer = self.client.auth.token.renew_self()
            self._token_seconds = float(answer["auth"]["lease_duration"])
        except (Forbidden, Unauthenticated, LeaseLost) as failed:
            error = failed
        self.meters.renewal(error)
        if self._auth is not None and (
            error is not None or is_capped(self._token_seconds, self._granted_seconds)
        ):
            self.login_again(self._adapter.token)
        elif error is not None:
            raise error
        self._renew_at = time.monotonic() + pause_before_renewal(self._token_seconds)
        return 0.0

    # --- the end

    def close(self) -> None:
        """Ends the renewals and, if it came from a login, revokes the token. Never raises."""
        if self.closed:
            return
        self._renewals.stop()
        try:
            if self._auth is not None:
                with self.traced("revoke token", "auth/token"):
                    self.client.auth.token.revoke_self()
        except AdapterError:
            pass  # it runs out by itself; the span tells
        finally:
            self.closed = True
            self._adapter.close()

    def __enter__(self) -> VaultConnection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace_: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        server = self._server
        return f"VaultConnection({server[c.SERVER_ADDRESS]!s}:{server[c.SERVER_PORT]!s})"


class _TracedAdapter(JSONAdapter):  # type: ignore[misc]
    """The one place through which every request leaves.

    It raises hvac's own exceptions, since hvac catches some itself; the operation around the
    call turns them into ours.
    """

    def __init__(self, connection: VaultConnection, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connection = connection
        self.session = DirectSession(usual=connection.tracing.transport_spans)

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        current = _current.get()
        if current is not None:
            return self._send(current, method, url, *args, **kwargs)
        mount = url.removeprefix("/v1/").split("/", 1)[0]
        with self._connection.traced(method.lower(), mount) as call:
            return self._send(call, method, url, *args, **kwargs)

    def _send(self, current: VaultCall, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        token = self.token
        try:
            return self._once(current, method, url, *args, **kwargs)
        except VaultError as error:
            if current.operation == LOGIN_OPERATION or not self._token_is_dead(error, current):
                raise
        with current.call.showing():
            is_new = self._connection.login_again(token)
        if not is_new:
            raise Unauthenticated(current.operation, code="403")
        return self._once(current, method, url, *args, **kwargs)

    def _once(
        self,
        current: VaultCall,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> Any:
        if self._connection.closed:
            raise Closed(current.operation)
        sent = dict(headers or {})
        current.call.inject(sent)
        try:
            return super().request(method, url, headers=sent, **kwargs)
        except VaultError as error:
            current.call.set(c.HTTP_RESPONSE_STATUS_CODE, status_of(error))
            raise

    def _raise_for_error(self, method: str, url: str, response: requests.Response) -> None:
        try:
            super()._raise_for_error(method, url, response)
        except VaultError as error:
            keep_status(error, response.status_code)
            raise

    def _token_is_dead(self, error: VaultError, current: VaultCall) -> bool:
        """Vault answers 403 for a dead token and for a missing right alike; it knows itself."""
        if status_of(error) not in {401, 403}:
            return False
        try:
            self._once(current, "get", "/v1/auth/token/lookup-self")
        except VaultError as second:
            return status_of(second) in {401, 403}
        return False
