"""`jaeger_client.metrics.metrics`: the names live in the package."""

from . import LegacyMetricsFactory, Metrics, MetricsFactory

__all__ = ["LegacyMetricsFactory", "Metrics", "MetricsFactory"]
