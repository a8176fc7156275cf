"""Signals across: Jaeger thrift to OTLP, Prometheus and OTLP metrics, traced adapters."""
