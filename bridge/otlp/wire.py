"""The piece of protobuf's wire format that every encoder of ours needs."""

from __future__ import annotations


def varint(number: int) -> bytes:
    """A number from 0 to 2**64 - 1, least significant seven bits first."""
    if number < 0x80:
        return bytes((number,))
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)
