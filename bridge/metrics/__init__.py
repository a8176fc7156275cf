"""One measurement, two worlds: Prometheus and OpenTelemetry metrics, each carried to the other."""

from bridge.metrics.bridge import MetricsBridge
from bridge.metrics.endpoint import PortInUse
from bridge.metrics.exemplars import install_exemplars, uninstall_exemplars
from bridge.metrics.names import Translation
from bridge.metrics.producer import RegistryProducer
from bridge.metrics.registry import LoopError
from bridge.metrics.to_prometheus import Options

__all__ = [
    "LoopError",
    "MetricsBridge",
    "Options",
    "PortInUse",
    "RegistryProducer",
    "Translation",
    "install_exemplars",
    "uninstall_exemplars",
]
