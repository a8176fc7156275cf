"""Spans, tags and logs as thrift objects, for code that reads them as jaeger_client kept them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from opentracing.tracer import ReferenceType

from shim.values import scalar

from .constants import MAX_TRACEBACK_LENGTH
from .span import LogRecord
from .thrift_gen.jaeger import ttypes
from .thrift_gen.sampling.ttypes import SamplingStrategyType

_LOW_64 = (1 << 64) - 1


def make_tag(key: Any, value: Any, max_length: int, max_traceback_length: int) -> Any:
    """A Tag with the value under its type, or as text."""
    return tag_of(str(key), scalar(value, max_length, max_traceback_length))


def make_tags(
    tags: Mapping[Any, Any] | None, max_length: int, max_traceback_length: int
) -> list[Any]:
    return [
        make_tag(key, value, max_length, max_traceback_length)
        for key, value in (tags or {}).items()
    ]


def make_log(
    timestamp: float, fields: Mapping[Any, Any], max_length: int, max_traceback_length: int
) -> Any:
    return ttypes.Log(
        timestamp=timestamp_micros(timestamp),
        fields=make_tags(fields, max_length, max_traceback_length),
    )


def make_process(service_name: str, tags: Mapping[str, Any], max_length: int) -> Any:
    return ttypes.Process(
        serviceName=service_name, tags=make_tags(tags, max_length, MAX_TRACEBACK_LENGTH)
    )


def make_references(references: Iterable[Any] | None) -> list[Any] | None:
    if not references:
        return None
    return [
        ttypes.SpanRef(
            refType=make_ref_type(reference.type),
            traceIdLow=id_to_int(_id_to_low(reference.referenced_context.trace_id)),
            traceIdHigh=id_to_int(_id_to_high(reference.referenced_context.trace_id)),
            spanId=id_to_int(reference.referenced_context.span_id),
        )
        for reference in references
    ]


def make_ref_type(span_ref_type: str) -> int:
    follows = span_ref_type == ReferenceType.FOLLOWS_FROM
    return int(getattr(ttypes.SpanRefType, "FOLLOWS_FROM" if follows else "CHILD_OF"))


def make_jaeger_batch(spans: Iterable[Any], process: Any) -> Any:
    return ttypes.Batch(process=process, spans=[_span(span) for span in spans])


def timestamp_micros(ts: float) -> int:
    """Unix seconds as microseconds."""
    return int(ts * 1000000)


def id_to_int(big_id: int | None) -> int | None:
    """An unsigned 64-bit id as thrift's signed one."""
    return big_id - (1 << 64) if big_id is not None and big_id >= 1 << 63 else big_id


def _id_to_low(big_id: int | None) -> int | None:
    return None if big_id is None else big_id & _LOW_64


def _id_to_high(big_id: int | None) -> int | None:
    return None if big_id is None else big_id >> 64 & _LOW_64


def parse_sampling_strategy(response: Any) -> tuple[Any, str | None]:
    """The sampler a SamplingStrategyResponse asks for, or None and why not."""
    from .sampler import ProbabilisticSampler, RateLimitingSampler

    if response.strategyType == SamplingStrategyType.PROBABILISTIC:
        if response.probabilisticSampling is None:
            return None, "probabilisticSampling field is None"
        rate = response.probabilisticSampling.samplingRate
        if 0 <= rate <= 1.0:
            return ProbabilisticSampler(rate=rate), None
        return None, f"Probabilistic sampling rate not in [0, 1] range: {rate}"
    if response.strategyType == SamplingStrategyType.RATE_LIMITING:
        if response.rateLimitingSampling is None:
            return None, "rateLimitingSampling field is None"
        limit = response.rateLimitingSampling.maxTracesPerSecond
        if 0 <= limit < 500:
            return RateLimitingSampler(max_traces_per_second=limit), None
        return None, f"Rate limiting parameter not in [0, 500) range: {limit}"
    return None, f"Unsupported sampling strategy type: {response.strategyType}"


def tag_of(key: str, value: Any) -> Any:
    """A clean value as a Tag."""
    if isinstance(value, bool):
        return ttypes.Tag(key=key, vType=ttypes.TagType.BOOL, vBool=value)
    if isinstance(value, int):
        return ttypes.Tag(key=key, vType=ttypes.TagType.LONG, vLong=value)
    if isinstance(value, float):
        return ttypes.Tag(key=key, vType=ttypes.TagType.DOUBLE, vDouble=value)
    return ttypes.Tag(key=key, vType=ttypes.TagType.STRING, vStr=str(value))


def value_of(tag: Any) -> Any:
    """The value of a Tag."""
    values = (tag.vStr, tag.vDouble, tag.vBool, tag.vLong, tag.vBinary)
    return values[tag.vType]


def log_of(record: LogRecord) -> Any:
    named = {} if record.name is None else {"event": record.name}
    return ttypes.Log(
        timestamp=timestamp_micros(record.timestamp),
        fields=[tag_of(key, value) for key, value in {**named, **record.fields}.items()],
    )


def record_of(log: Any) -> LogRecord:
    fields = {tag.key: value_of(tag) for tag in log.fields}
    return LogRecord(None, log.timestamp / 1e6, fields)


def _span(span: Any) -> Any:
    end = span.start_time if span.end_time is None else span.end_time
    return ttypes.Span(
        traceIdLow=id_to_int(_id_to_low(span.trace_id)),
        traceIdHigh=id_to_int(_id_to_high(span.trace_id)),
        spanId=id_to_int(span.span_id),
        parentSpanId=id_to_int(span.parent_id) or 0,
        operationName=span.operation_name,
        references=make_references(span.references),
        flags=span.context.flags,
        startTime=timestamp_micros(span.start_time),
        duration=timestamp_micros(end - span.start_time),
        tags=span.tags,
        logs=span.logs,
    )
