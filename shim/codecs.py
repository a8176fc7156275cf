"""The legacy wire formats as pure functions: uber-trace-id, binary, Zipkin fields, B3.

They know nothing of spans, tracers or OpenTelemetry: numbers and text in, numbers and text out.
Writers produce what the clients of all four languages read; readers take what any of them
writes and refuse everything else with `WireError`. The formats:
https://www.jaegertracing.io/docs/1.76/client-libraries/#propagation-format and
https://github.com/openzipkin/b3-propagation.
"""

from __future__ import annotations

import re
import struct
from binascii import unhexlify
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any
from urllib.parse import quote, unquote, unquote_plus

TRACE_ID_HEADER = "uber-trace-id"
BAGGAGE_HEADER_PREFIX = "uberctx-"
DEBUG_ID_HEADER = "jaeger-debug-id"
BAGGAGE_HEADER = "jaeger-baggage"

SAMPLED = 0x01
DEBUG = 0x02
FIREHOSE = 0x08

# What a reader takes at most from a stranger: the count W3C baggage allows, and as many bytes
# as the most generous common server allows for all headers together.
MAX_BAGGAGE_ITEMS = 180
MAX_BAGGAGE_BYTES = 65536
MAX_DEBUG_ID = 256

# Four bits travel, as one digit: jaeger-client-go reads flags as a decimal number and starts a
# new trace at `a` to `f`. Of two bits that would need such a digit the more useful one stays:
# debug before firehose, firehose before the unused 0x04.
_SAFE_FLAGS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 8, 9, 6, 7)

_HEX = "0123456789abcdefABCDEF"
_FLAGS = {text: int(text, 16) for text in (*_HEX, *(a + b for a in _HEX for b in _HEX))}
_TRACE_IDS = struct.Struct(">QQQQ")
_HEX_ID = re.compile(r"[0-9a-fA-F]{1,32}")
_LONGEST_TRACE = 256
# RFC 9110 token: anything else in a header's name makes HTTP clients raise or servers refuse.
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BINARY_HEAD = struct.Struct(">QQQQBI")
_LENGTH = struct.Struct(">I")
_LOW_64 = (1 << 64) - 1


class WireError(ValueError):
    """What came over the wire is not the format it claims to be."""


# Plain tuples, not named ones: these are made for every request.
Ids = tuple[int, int, int, int]
"""Trace id, span id, parent id (0 without a parent), Jaeger's flags: what every format carries."""
TextFields = tuple[Any, dict[str, str], "str | None"]
"""The trace header as it came (None without one, still to be parsed), baggage, debug id."""


def safe_flags(flags: int) -> int:
    """`flags` as every client reads them: a number from 0 to 9."""
    return _SAFE_FLAGS[flags & 0x0F]


def format_trace(trace_id: int, span_id: int, parent_id: int | None, flags: int) -> str:
    """The value of `uber-trace-id` as jaeger-client for Python writes it: no leading zeros."""
    # `%` is twice as fast as an f-string here
    return "%x:%x:%x:%x" % (trace_id, span_id, parent_id or 0, _SAFE_FLAGS[flags & 0x0F])  # noqa: UP031


def format_trace_padded(trace_id: int, span_id: int, parent_id: int | None, flags: int) -> str:
    """The same with 16 or 32 digits, as the clients of Go and Java write it.

    OpenTelemetry's own readers in several languages take ids of full length only.
    """
    trace = f"{trace_id:032x}" if trace_id > _LOW_64 else f"{trace_id:016x}"
    parent = f"{parent_id:016x}" if parent_id else "0"
    return f"{trace}:{span_id:016x}:{parent}:{_SAFE_FLAGS[flags & 0x0F]:x}"


def parse_trace(value: str) -> Ids:
    """Reads `uber-trace-id`: plain or percent-encoded, digits in any case, padded or not.

    Raises WireError: not a text, not four parts of hex digits, an id too long, or a trace or
    span id of zero.
    """
    try:
        plain = _unquoted(value) if "%" in value else value
        trace, span, parent, flags = plain.split(":", 4)
        # Filled to full width all ids are read at once, and too long a one fits no more
        ids = unhexlify(trace.zfill(32) + span.zfill(16) + (parent or "?").zfill(16))
        high, trace_id, span_id, parent_id = _TRACE_IDS.unpack(ids)
        bits = _FLAGS[flags]
    except (TypeError, AttributeError):
        raise WireError(f"trace context is no text but {type(value).__name__}") from None
    except (ValueError, KeyError, struct.error):
        raise WireError(f'malformed trace context "{value[:_LONGEST_TRACE]}"') from None
    if high:
        trace_id |= high << 64
    if not trace_id or not span_id:
        raise WireError(f'trace context with an id of zero "{value}"')
    return trace_id, span_id, parent_id, bits


class TextFormat:
    """Names and encoding of the text headers; `_` in a name becomes `-`, case never counts.

    With `url_encoded` (HTTP) values are percent-encoded whole, so that neither a blank nor a
    bare `%` is left for a reader to trip over, and items whose key no header name can hold
    are left out; without it (TEXT_MAP) keys and values travel as they are.
    """

    __slots__ = (
        "_names",
        "baggage_header",
        "baggage_prefix",
        "debug_id_header",
        "trace_header",
        "url_encoded",
    )

    def __init__(
        self,
        *,
        url_encoded: bool = True,
        trace_id_header: str = TRACE_ID_HEADER,
        baggage_header_prefix: str = BAGGAGE_HEADER_PREFIX,
        debug_id_header: str = DEBUG_ID_HEADER,
        baggage_header: str = BAGGAGE_HEADER,
    ) -> None:
        self.url_encoded = url_encoded
        self.trace_header = _header_name(trace_id_header)
        self.baggage_prefix = _header_name(baggage_header_prefix)
        self.debug_id_header = _header_name(debug_id_header)
        self.baggage_header = _header_name(baggage_header)
        self._names = {self.trace_header, self.debug_id_header, self.baggage_header}

    def baggage_headers(self, baggage: Mapping[str, Any]) -> list[tuple[str, str]]:
        """One header for each baggage item; keys and values may be bytes, values anything."""
        prefix = self.baggage_prefix
        if not self.url_encoded:
            return [(prefix + _text(key), _text(value)) for key, value in baggage.items()]
        return [
            (prefix + name, quote(_text(value), safe="", errors="replace"))
            for name, value in ((_text(key), value) for key, value in baggage.items())
            if _TOKEN.fullmatch(name)
        ]

    def read(self, headers: Iterable[tuple[str, Any]]) -> TextFields:
        """Finds the legacy headers among `headers`; names in any case, values bounded."""
        prefix, trace_header, names = self.baggage_prefix, self.trace_header, self._names
        trace: Any = None
        debug_id: str | None = None
        baggage: dict[str, str] = {}
        room = MAX_BAGGAGE_BYTES
        for key, value in headers:
            name = key.lower()
            if name == trace_header:
                trace = value
            elif prefix in name and name.startswith(prefix):  # `in` is the quick one of the two
                text = _text(value)
                room -= len(text)
                if room >= 0 and len(baggage) < MAX_BAGGAGE_ITEMS:
                    baggage[name[len(prefix) :]] = self._baggage_value(text)
            elif name not in names:
                continue
            elif name == self.debug_id_header:
                debug_id = self._decoded(_text(value))[:MAX_DEBUG_ID] or None
            else:
                baggage.update(_baggage_list(self._decoded(_text(value)[:MAX_BAGGAGE_BYTES])))
        return trace, baggage, debug_id

    def _baggage_value(self, text: str) -> str:
        """A bare `+` is a blank: Go and Java write it so, and all clients write `+` as `%2B`."""
        return unquote_plus(text) if self.url_encoded else text

    def _decoded(self, text: str) -> str:
        return unquote(text) if self.url_encoded and "%" in text else text


def pack_binary(
    trace_id: int, span_id: int, parent_id: int | None, flags: int, baggage: Mapping[str, str]
) -> bytes:
    """The binary format of jaeger-client: 37 bytes big-endian, then baggage with lengths."""
    head = _BINARY_HEAD.pack(
        trace_id >> 64 & _LOW_64,
        trace_id & _LOW_64,
        span_id,
        parent_id or 0,
        flags & 0xFF,
        len(baggage),
    )
    parts = [head]
    for text in (text for item in baggage.items() for text in item):
        data = _text(text).encode("utf-8", "replace")
        parts += (_LENGTH.pack(len(data)), data)
    return b"".join(parts)


def unpack_binary(data: bytes | bytearray) -> tuple[Ids, dict[str, str]]:
    """Reads the binary format. Raises WireError when it is cut short or larger than allowed."""
    if len(data) < _BINARY_HEAD.size:
        raise WireError(f"binary trace context of {len(data)} bytes, {_BINARY_HEAD.size} expected")
    high, low, span_id, parent_id, flags, count = _BINARY_HEAD.unpack_from(data)
    if not (high or low) or not span_id:
        raise WireError("binary trace context with an id of zero")
    if count > MAX_BAGGAGE_ITEMS or len(data) > _BINARY_HEAD.size + MAX_BAGGAGE_BYTES:
        raise WireError(f"binary baggage of {count} items in {len(data)} bytes is too large")
    baggage: dict[str, str] = {}
    offset = _BINARY_HEAD.size
    for _ in range(count):
        key, offset = _binary_text(data, offset)
        baggage[key], offset = _binary_text(data, offset)
    return (high << 64 | low, span_id, parent_id, flags), baggage


def zipkin_fields(
    trace_id: int, span_id: int, parent_id: int | None, flags: int
) -> dict[str, int | None]:
    """TChannel's `zipkin-span-format`: plain numbers by name."""
    return {
        "trace_id": trace_id,
        "span_id": span_id,
        "parent_id": parent_id,
        "traceflags": flags,
    }


def b3_headers(
    trace_id: int, span_id: int, parent_id: int | None, flags: int, *, digits: int = 16
) -> dict[str, str]:
    """B3 as several headers; `digits` is the least width of the trace id.

    A debug trace says both `Flags: 1` and `Sampled: 1`: with the first alone, as B3 has it,
    the Jaeger clients of Python and Java do not sample and the one of Go sees nothing.
    """
    headers = {
        "x-b3-traceid": _b3_trace(trace_id, digits),
        "x-b3-spanid": f"{span_id:016x}",
        "x-b3-sampled": "1" if flags & (SAMPLED | DEBUG) else "0",
    }
    if parent_id:
        headers["x-b3-parentspanid"] = f"{parent_id:016x}"
    if flags & DEBUG:
        headers["x-b3-flags"] = "1"
    return headers


def b3_single(trace_id: int, span_id: int, parent_id: int | None, flags: int) -> str:
    """B3 as the one header `b3`."""
    state = "d" if flags & DEBUG else "1" if flags & SAMPLED else "0"
    parent = f"-{parent_id:016x}" if parent_id else ""
    return f"{_b3_trace(trace_id, 16)}-{span_id:016x}-{state}{parent}"


def parse_b3_headers(headers: Mapping[str, str]) -> Ids | None:
    """Reads B3 from several headers (names in lower case); None when there is no trace in them.

    Without a `Sampled` header the trace is not sampled: that is how jaeger-client for Python
    writes it. `Flags: 1` is debug, which includes sampled. Raises WireError for ids that are
    not hex, too long or zero.
    """
    trace, span = headers.get("x-b3-traceid"), headers.get("x-b3-spanid")
    if trace is None or span is None:
        return None
    flags = SAMPLED if headers.get("x-b3-sampled", "").lower() in ("1", "true", "d") else 0
    if headers.get("x-b3-flags") == "1":
        flags = SAMPLED | DEBUG
    parent = headers.get("x-b3-parentspanid")
    return parse_id(trace, 32), parse_id(span, 16), parse_id(parent, 16) if parent else 0, flags


def parse_b3_single(value: str) -> Ids | None:
    """Reads the `b3` header; None when it is a bare decision (`0`, `1`, `d`) without a trace.

    Without a state the decision is the reader's: sampled, as OpenTelemetry's propagator has it.
    """
    parts = value.split("-", 4)
    if len(parts) == 1 and value in ("0", "1", "d"):
        return None
    if not 2 <= len(parts) <= 4:
        raise WireError(f'malformed b3 header "{value[:_LONGEST_TRACE]}"')
    state = parts[2] if len(parts) > 2 else "1"
    flags = {"d": SAMPLED | DEBUG, "1": SAMPLED, "0": 0}.get(state)
    if flags is None:
        raise WireError(f'unknown state in b3 header "{value[:_LONGEST_TRACE]}"')
    parent = parse_id(parts[3], 16) if len(parts) == 4 else 0
    return parse_id(parts[0], 32), parse_id(parts[1], 16), parent, flags


def parse_id(text: str, digits: int) -> int:
    """A hex id of at most `digits` digits, not zero; WireError otherwise."""
    if len(text) > digits or not _HEX_ID.fullmatch(text):
        raise WireError(
            f'malformed id "{text[:_LONGEST_TRACE]}", expected up to {digits} hex digits'
        )
    number = int(text, 16)
    if not number:
        raise WireError("an id of zero")
    return number


def _unquoted(value: str) -> str:
    return unquote(value) if len(value) <= _LONGEST_TRACE and "%" in value else ""


def _header_name(name: str) -> str:
    return name.lower().replace("_", "-")


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, str):
        return value
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a value's own __str__ must not cost the other items
        return type(value).__name__


def _baggage_list(text: str) -> dict[str, str]:
    """`k1=v1, k2=v2`; what is no pair is passed over, as by every client."""
    pairs = (part.split("=") for part in islice(text.split(","), MAX_BAGGAGE_ITEMS))
    return {pair[0].strip(): pair[1].strip() for pair in pairs if len(pair) == 2}


def _binary_text(data: bytes | bytearray, offset: int) -> tuple[str, int]:
    start = offset + _LENGTH.size
    if start > len(data):
        raise WireError("binary baggage is cut short")
    end = start + _LENGTH.unpack_from(data, offset)[0]
    if end > len(data):
        raise WireError("binary baggage is cut short")
    return bytes(data[start:end]).decode("utf-8", "replace"), end


def _b3_trace(trace_id: int, digits: int) -> str:
    return f"{trace_id:0{32 if trace_id > _LOW_64 else digits}x}"
