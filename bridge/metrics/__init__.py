"""Prometheus and OTLP metrics from one measurement."""
