"""What may be said about keys, secrets, urls and failing callbacks in telemetry and logs."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import traceback
from collections.abc import Callable
from typing import TypeAlias
from urllib.parse import urlsplit

# Gives what a span may show of a key or path; None shows nothing.
KeyPolicy: TypeAlias = Callable[[str], "str | None"]

_PROCESS_KEY = secrets.token_bytes(32)


def hidden_keys(key: str) -> str | None:
    """Shows nothing."""
    return None


def full_keys(key: str) -> str | None:
    """Shows the whole key: only where keys are few and never secret."""
    return key


def key_prefix(segments: int = 1) -> KeyPolicy:
    """Shows the first folders: `key_prefix(1)("config/db/url")` is "config/".

    The last segment never shows; a key without a folder shows nothing.
    """

    def policy(key: str) -> str | None:
        lead = "/" if key.startswith("/") else ""
        folders = key.lstrip("/").split("/")[:-1][:segments]
        return lead + "/".join(folders) + "/" if folders else None

    return policy


def key_template(*templates: str) -> KeyPolicy:
    """Shows the first template that fits: "config/{service}/{name}" for "config/shop/db_url".

    A `{name}` stands for one segment. Keys that fit no template show nothing.
    """
    patterns = [(_template_pattern(template), template) for template in templates]

    def policy(key: str) -> str | None:
        return next((template for pattern, template in patterns if pattern.fullmatch(key)), None)

    return policy


def _template_pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{[^{}]*\}", template)
    return re.compile("[^/]+".join(re.escape(part) for part in parts))


class Secret:
    """A value that shows itself only when asked: `str`, `repr` and pickles do not."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret is not pickled")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(fingerprint(self._value))

    def __bool__(self) -> bool:
        return bool(self._value)


def fingerprint(identifier: str) -> str:
    """16 hex digits that tell two lease or session ids apart within this process only."""
    return hmac.new(_PROCESS_KEY, identifier.encode(), hashlib.sha256).hexdigest()[:16]


def safe_url(url: str) -> str:
    """The url without user, password, query and fragment."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}" if parts.scheme else f"{host}{parts.path}"


def place_of(error: BaseException) -> str:
    """The error's type and where it was raised: all that a log may say of a callback's error.

    Its text may repeat a value (`int("s3cret")` does).
    """
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__qualname__}{where}"
