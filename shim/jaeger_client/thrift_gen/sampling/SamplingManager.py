"""`jaeger_client.thrift_gen.sampling.SamplingManager`: the types live in `ttypes`."""

from .ttypes import (
    OperationSamplingStrategy,
    PerOperationSamplingStrategies,
    ProbabilisticSamplingStrategy,
    RateLimitingSamplingStrategy,
    SamplingStrategyResponse,
    SamplingStrategyType,
)

__all__ = [
    "OperationSamplingStrategy",
    "PerOperationSamplingStrategies",
    "ProbabilisticSamplingStrategy",
    "RateLimitingSamplingStrategy",
    "SamplingStrategyResponse",
    "SamplingStrategyType",
]
