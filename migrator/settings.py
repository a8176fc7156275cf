"""What the user chose: command line over `[tool.jaeger2otlp]` in pyproject.toml over defaults."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from codemods import Options
from migrator.exits import Failure
from migrator.problem import Problem, from_error
from migrator.project import root_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = "pyproject.toml"
TABLE = "jaeger2otlp"
FORMATS = ("text", "json", "github")
CHOICES = {
    "protocol": ("grpc", "http"),
    "propagation": ("w3c", "both"),
    "output_format": FORMATS,
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting that both the command line and pyproject.toml know."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    unsafe: bool = False
    protocol: str = "grpc"
    endpoint_from_env: bool = False
    propagation: str = "w3c"
    semconv: bool = False
    mark: bool = False
    jobs: int | None = None
    output_format: str = "text"

    @property
    def selected(self) -> bool:
        """Whether only some rules are asked for."""
        return bool(self.select or self.ignore)

    def options(self) -> Options:
        """The part that the rewrite engine wants."""
        return Options(
            protocol="http" if self.protocol == "http" else "grpc",
            endpoint_from_env=self.endpoint_from_env,
            propagation="both" if self.propagation == "both" else "w3c",
            semconv=self.semconv,
            unsafe=self.unsafe,
            mark=self.mark,
            select=frozenset(self.select),
            ignore=frozenset(self.ignore),
        )


DEFAULTS = Settings()
CODES = ("select", "ignore")  # in capital letters, however the user writes them
NOT_USED = "its settings were not used"


class Wrong(ValueError):
    """A value that a setting does not take; the text says what it takes."""


def load(path: str, chosen: Mapping[str, Any]) -> tuple[Settings, Problem | None]:
    """Settings for the project around `path`, and what is wrong with its pyproject.toml.

    `chosen` holds what stood on the command line; None means that the user said nothing.

    Raises:
        Failure: the command line names a rule that does not exist.
    """
    settings, problem = _from_file(os.path.join(root_of(path), FILE))
    said = {name: value for name, value in chosen.items() if value not in (None, ())}
    settings = replace(settings, **said)
    try:
        _check_codes(settings)
    except Wrong as error:
        raise Failure(str(error)) from error
    return settings, problem


def _from_file(file: str) -> tuple[Settings, Problem | None]:
    try:
        with open(file, "rb") as opened:
            tool = tomllib.load(opened).get("tool", {})
        table = tool.get(TABLE, {}) if isinstance(tool, dict) else tool
        if not isinstance(table, dict):
            raise Wrong(f"`tool.{TABLE}` must be a table")
        settings = replace(DEFAULTS, **_checked(table))
        _check_codes(settings)
    except FileNotFoundError:
        return DEFAULTS, None
    except OSError as error:
        return DEFAULTS, from_error(file, error)
    except UnicodeDecodeError:
        return DEFAULTS, Problem(file, f"it is not UTF-8, as TOML must be; {NOT_USED}")
    except (Wrong, tomllib.TOMLDecodeError) as error:
        return DEFAULTS, Problem(file, f"{error}; {NOT_USED}")
    return settings, None


def _checked(table: Mapping[str, Any]) -> dict[str, Any]:
    known = {field.name.replace("_", "-"): field.name for field in fields(Settings)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f", but `{near[0]}`" if near else f"; it has {', '.join(known)}"
            raise Wrong(f"[tool.{TABLE}] has no setting `{key}`{hint}")
        values[known[key]] = _value(key, known[key], value)
    return values


def _value(key: str, name: str, value: Any) -> Any:
    default = getattr(DEFAULTS, name)
    if isinstance(default, tuple):
        if not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            raise Wrong(f"[tool.{TABLE}] `{key}` takes a list of strings")
        return tuple(item.upper() for item in value) if name in CODES else tuple(value)
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise Wrong(f"[tool.{TABLE}] `{key}` takes true or false")
    elif name in CHOICES:
        if value not in CHOICES[name]:
            raise Wrong(f"[tool.{TABLE}] `{key}` takes one of {', '.join(CHOICES[name])}")
    elif not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Wrong(f"[tool.{TABLE}] `{key}` takes a number from 1")
    return value


def _check_codes(settings: Settings) -> None:
    if not settings.selected:
        return
    from codemods import registry

    codes = [rule.code for rule in registry.rules()]
    for wanted in (*settings.select, *settings.ignore):
        if not any(code.startswith(wanted) for code in codes):
            raise Wrong(f"no rule's code begins with {wanted!r}; `jaeger2otlp rules` lists them")
