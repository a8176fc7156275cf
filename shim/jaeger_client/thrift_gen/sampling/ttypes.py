"""sampling.thrift: https://github.com/jaegertracing/jaeger-idl/blob/main/thrift/sampling.thrift"""

from __future__ import annotations

from .. import DOUBLE, I16, I32, LIST, STRING, STRUCT, enum, struct

SamplingStrategyType = enum("SamplingStrategyType", "PROBABILISTIC", "RATE_LIMITING")

ProbabilisticSamplingStrategy = struct(
    "ProbabilisticSamplingStrategy", (1, DOUBLE, "samplingRate", None), required="samplingRate"
)
RateLimitingSamplingStrategy = struct(
    "RateLimitingSamplingStrategy",
    (1, I16, "maxTracesPerSecond", None),
    required="maxTracesPerSecond",
)
OperationSamplingStrategy = struct(
    "OperationSamplingStrategy",
    (1, STRING, "operation", None),
    (2, STRUCT, "probabilisticSampling", ProbabilisticSamplingStrategy),
    required="operation probabilisticSampling",
)
PerOperationSamplingStrategies = struct(
    "PerOperationSamplingStrategies",
    (1, DOUBLE, "defaultSamplingProbability", None),
    (2, DOUBLE, "defaultLowerBoundTracesPerSecond", None),
    (3, LIST, "perOperationStrategies", OperationSamplingStrategy),
    (4, DOUBLE, "defaultUpperBoundTracesPerSecond", None),
    required=("defaultSamplingProbability defaultLowerBoundTracesPerSecond perOperationStrategies"),
)
SamplingStrategyResponse = struct(
    "SamplingStrategyResponse",
    (1, I32, "strategyType", None),
    (2, STRUCT, "probabilisticSampling", ProbabilisticSamplingStrategy),
    (3, STRUCT, "rateLimitingSampling", RateLimitingSamplingStrategy),
    (4, STRUCT, "operationSampling", PerOperationSamplingStrategies),
    required="strategyType",
)
