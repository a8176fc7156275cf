"""`import shim.auto`: legacy code runs on OpenTelemetry, configured by the environment."""

from shim.startup import auto

auto()
