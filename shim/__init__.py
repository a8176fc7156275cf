"""Legacy API in, OpenTelemetry out, inside the running service.

`import shim.auto`, `shim.install(...)`, `from shim.jaeger_client import Config` or
`jaeger2otlp run -- ...`: docs/shim.md. Migrated code may use `shim.configure(...)`.
"""

from shim.startup import configure, install

__all__ = ["configure", "install"]
