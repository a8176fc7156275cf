"""Stands in for jaeger_client 4.8: the same names, spans leave as OTLP."""

from . import constants
from .config import Config
from .sampler import (
    ConstSampler,
    ProbabilisticSampler,
    RateLimitingSampler,
    RemoteControlledSampler,
)
from .span import Span
from .span_context import SpanContext
from .tracer import Tracer

__version__ = constants.VERSION

__all__ = [
    "Config",
    "ConstSampler",
    "ProbabilisticSampler",
    "RateLimitingSampler",
    "RemoteControlledSampler",
    "Span",
    "SpanContext",
    "Tracer",
    "__version__",
]
