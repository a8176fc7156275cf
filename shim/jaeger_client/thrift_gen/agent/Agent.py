"""agent.thrift: https://github.com/jaegertracing/jaeger-idl/blob/main/thrift/agent.thrift"""

from __future__ import annotations

from typing import Any

from .. import STRUCT, struct
from ..jaeger.ttypes import Batch

emitBatch_args = struct("emitBatch_args", (1, STRUCT, "batch", Batch))  # noqa: N816

_ONEWAY = 4


class Iface:
    """What an agent takes."""

    def emitBatch(self, batch: Any) -> None:  # noqa: N802
        raise NotImplementedError


class Client(Iface):
    """Writes batches with the protocol that the factory gives for the transport."""

    def __init__(self, transport: Any, iprot_factory: Any, oprot_factory: Any = None) -> None:
        self._transport = transport
        self._oprot_factory = oprot_factory or iprot_factory
        self._seqid = 0

    def emitBatch(self, batch: Any) -> None:  # noqa: N802
        self._seqid += 1
        protocol = self._oprot_factory.getProtocol(self._transport)
        protocol.writeMessageBegin("emitBatch", _ONEWAY, self._seqid)
        emitBatch_args(batch).write(protocol)
        protocol.writeMessageEnd()
        protocol.trans.flush()
