"""Jaeger thrift in, OTLP out."""
