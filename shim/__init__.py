"""Legacy API in, OpenTelemetry out, inside the running service."""
