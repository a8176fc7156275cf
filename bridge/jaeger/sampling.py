"""Static sampling strategies from a file in Jaeger's format, as old clients ask for them.

The rules are those of Jaeger v2's file-based `remote_sampling` (v2.13): a service's own
operations come before the default ones, and a service without any gets the default ones under
its own probability. The answer names the strategy (`"PROBABILISTIC"`), as the jaeger-agent did:
Jaeger v2 sends a number there, which jaeger-client for Python does not understand.
"""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

DEFAULT_PROBABILITY = 0.001  # Jaeger's, for services that no strategy names
CHECK_SECONDS = 1.0
MAX_FILE_BYTES = 16 * 1024 * 1024
PROBABILISTIC, RATE_LIMITING = "PROBABILISTIC", "RATE_LIMITING"

Strategy = dict[str, Any]


class StrategiesError(ValueError):
    """The file cannot be used; the text names the place and says what is wanted."""


class Strategies:
    """The strategies of a file, read anew when it changes; a bad change keeps the old ones."""

    def __init__(self, path: Path | None, default: float = DEFAULT_PROBABILITY) -> None:
        """Raises `StrategiesError` when the file cannot be read or says what it should not."""
        self._path, self._default_probability = path, default
        self.reload_failures = 0
        self._default: Strategy = _probabilistic(default)
        self._services: dict[str, Strategy] = {}
        self._seen = self._stamp()
        self._checked = time.monotonic()
        if path:
            self._load(path)

    def of(self, service: str) -> Strategy:
        """The answer to `/sampling?service=...`."""
        if self._path and time.monotonic() - self._checked > CHECK_SECONDS:
            self._check(self._path)
        return self._services.get(service, self._default)

    def _check(self, path: Path) -> None:
        self._checked = time.monotonic()
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._load(path)
            logger.info("sampling strategies read again from %s", path)
        except StrategiesError as error:
            self.reload_failures += 1
            logger.warning("the old sampling strategies stay: %s", error)

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat() if self._path else None
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size) if found else None

    def _load(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
            if len(data) > MAX_FILE_BYTES:
                raise StrategiesError(f"{path}: larger than {MAX_FILE_BYTES} bytes")
            document = json.loads(data)
        except OSError as error:
            raise StrategiesError(f"{path}: {error.strerror}") from None
        except (ValueError, RecursionError) as error:
            raise StrategiesError(f"{path}: not JSON ({error})") from None
        try:
            self._default, self._services = _parse(document, self._default_probability)
        except StrategiesError as error:
            raise StrategiesError(f"{path}: {error}") from None


def numbered(strategy: Strategy) -> Strategy:
    """The same with the strategy's number in the place of its name, as Jaeger v2 answers."""
    number = (PROBABILISTIC, RATE_LIMITING).index(strategy["strategyType"])
    return {**strategy, "strategyType": number}


def _parse(document: Any, probability: float) -> tuple[Strategy, dict[str, Strategy]]:
    _want(document, dict, "the file", "an object")
    default = _probabilistic(probability)
    if (given := document.get("default_strategy")) is not None:
        default = _service(given, "default_strategy", probability)
    services = {}
    entries = _want(document.get("service_strategies") or [], list, "service_strategies", "a list")
    for index, entry in enumerate(entries):
        place = f"service_strategies[{index}]"
        _want(entry, dict, place, "an object")
        name = _want(entry.get("service", ""), str, f"{place}.service", "a string")
        services[name] = _inherit(_service(entry, place, probability), default)
    return default, services


def _service(entry: Any, place: str, probability: float) -> Strategy:
    strategy = _strategy(entry, place, probability)
    inside = f"{place}.operation_strategies"
    operations = _want(entry.get("operation_strategies") or [], list, inside, "a list")
    if not operations:
        return strategy
    own = strategy.get("probabilisticSampling")
    strategy["operationSampling"] = {
        "defaultSamplingProbability": own["samplingRate"] if own else probability,
        "defaultLowerBoundTracesPerSecond": 0,
        "perOperationStrategies": [
            found
            for index, operation in enumerate(operations)
            if (
                found := _operation(
                    operation, f"{place}.operation_strategies[{index}]", probability
                )
            )
        ],
        "defaultUpperBoundTracesPerSecond": 0,
    }
    return strategy


def _operation(entry: Any, place: str, probability: float) -> Strategy | None:
    strategy = _strategy(entry, place, probability)
    name = _want(entry.get("operation", ""), str, f"{place}.operation", "a string")
    if strategy["strategyType"] == RATE_LIMITING:
        logger.warning("%s: operations can only be probabilistic; left out", place)
        return None
    return {"operation": name, "probabilisticSampling": strategy["probabilisticSampling"]}


def _strategy(entry: Any, place: str, probability: float) -> Strategy:
    _want(entry, dict, place, "an object")
    kind, param = entry.get("type"), entry.get("param") or 0
    if isinstance(param, bool) or not isinstance(param, (int, float)):
        raise StrategiesError(f"{place}.param: a number is wanted")
    if kind == "probabilistic":
        return _probabilistic(param)
    if kind == "ratelimiting":
        limit = {"maxTracesPerSecond": int(param)}
        return {"strategyType": RATE_LIMITING, "rateLimitingSampling": limit}
    logger.warning(
        "%s.type: %r is neither probabilistic nor ratelimiting; sampling %g of it",
        place,
        kind,
        probability,
    )
    return _probabilistic(probability)


def _inherit(strategy: Strategy, default: Strategy) -> Strategy:
    shared = default.get("operationSampling")
    if not shared:
        return strategy
    own = strategy.get("operationSampling")
    if not own:
        rate = strategy.get("probabilisticSampling")
        changed = {"defaultSamplingProbability": rate["samplingRate"]} if rate else {}
        return {**strategy, "operationSampling": {**shared, **changed}}
    named = {entry["operation"] for entry in own["perOperationStrategies"]}
    own["perOperationStrategies"] += [
        entry for entry in shared["perOperationStrategies"] if entry["operation"] not in named
    ]
    return strategy


def _probabilistic(rate: float) -> Strategy:
    return {"strategyType": PROBABILISTIC, "probabilisticSampling": {"samplingRate": rate}}


def _want(value: Any, kind: type, place: str, wanted: str) -> Any:
    if not isinstance(value, kind):
        raise StrategiesError(f"{place}: {wanted} is wanted")
    return value
