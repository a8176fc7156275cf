"""The constants of jaeger_client 4.8, under their names there."""

from __future__ import annotations

from shim.codecs import (
    BAGGAGE_HEADER as BAGGAGE_HEADER_KEY,
)
from shim.codecs import (
    BAGGAGE_HEADER_PREFIX,
    TRACE_ID_HEADER,
)
from shim.codecs import (
    DEBUG as DEBUG_FLAG,
)
from shim.codecs import (
    DEBUG_ID_HEADER as DEBUG_ID_HEADER_KEY,
)
from shim.codecs import (
    SAMPLED as SAMPLED_FLAG,
)

__all__ = [
    "BAGGAGE_HEADER_KEY",
    "BAGGAGE_HEADER_PREFIX",
    "DEBUG_FLAG",
    "DEBUG_ID_HEADER_KEY",
    "SAMPLED_FLAG",
    "TRACE_ID_HEADER",
]

VERSION = "4.8.0"  # the release whose place we take; dashboards filter by it

MAX_ID_BITS = 64
_max_id_bits = 64
_max_trace_id_bits = 128

DEFAULT_SAMPLING_INTERVAL = 60
DEFAULT_FLUSH_INTERVAL = 1
DEFAULT_THROTTLER_REFRESH_INTERVAL = 5

JAEGER_CLIENT_VERSION = f"Python-{VERSION}"
JAEGER_VERSION_TAG_KEY = "jaeger.version"
JAEGER_HOSTNAME_TAG_KEY = "hostname"
JAEGER_IP_TAG_KEY = "ip"
CLIENT_UUID_TAG_KEY = "client-uuid"

SAMPLER_TYPE_CONST = "const"
SAMPLER_TYPE_REMOTE = "remote"
SAMPLER_TYPE_PROBABILISTIC = "probabilistic"
SAMPLER_TYPE_RATE_LIMITING = "ratelimiting"
SAMPLER_TYPE_LOWER_BOUND = "lowerbound"

MAX_TAG_VALUE_LENGTH = 1024
MAX_TRACEBACK_LENGTH = 4096
