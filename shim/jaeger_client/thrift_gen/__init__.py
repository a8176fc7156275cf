"""The names users import from jaeger_client's generated thrift code.

Plain objects by table. They read and write through any Apache thrift protocol, if the
application has that library; importing them does not need it.
"""

from __future__ import annotations

from typing import Any, ClassVar

# https://github.com/apache/thrift/blob/master/doc/specs/thrift-binary-protocol.md
BOOL, DOUBLE, I16, I32, I64, STRING, STRUCT, LIST, BYTE = 2, 4, 6, 8, 10, 11, 12, 15, 3


class Struct:
    """The base of what `struct` makes."""

    thrift_spec: ClassVar[tuple[Any, ...]] = ()
    _names: ClassVar[tuple[str, ...]] = ()
    _required: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *values: Any, **named: Any) -> None:
        for name, value in zip(self._names, values, strict=False):
            setattr(self, name, value)
        for name in self._names[len(values) :]:
            setattr(self, name, named.pop(name, None))
        if named:
            raise TypeError(f"{type(self).__name__} has no {', '.join(named)}")

    def read(self, iprot: Any) -> None:
        iprot.readStruct(self, self.thrift_spec)

    def write(self, oprot: Any) -> None:
        self.validate()
        oprot.writeStruct(self, self.thrift_spec)

    def validate(self) -> None:
        for name in self._required:
            if getattr(self, name) is None:
                raise ValueError(f"Required field {name} is unset!")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._names)
        return f"{type(self).__name__}({fields})"


def struct(name: str, *fields: tuple[int, int, str, Any], required: str = "") -> Any:
    """A struct class; `fields` are id, type, name, and the element or struct class if any."""
    spec: list[Any] = [None] * (max((field[0] for field in fields), default=0) + 1)
    for number, kind, field, inner in fields:
        spec[number] = (number, kind, field, _type_arguments(kind, inner), None)
    return type(
        name,
        (Struct,),
        {
            "thrift_spec": tuple(spec),
            "_names": tuple(field[2] for field in fields),
            "_required": tuple(required.split()),
        },
    )


def enum(name: str, *members: str) -> Any:
    """A thrift enum: plain ints by name."""
    values = {member: number for number, member in enumerate(members)}
    tables = {
        "_VALUES_TO_NAMES": {number: member for member, number in values.items()},
        "_NAMES_TO_VALUES": values,
    }
    return type(name, (), {**values, **tables})


def _type_arguments(kind: int, inner: Any) -> Any:
    if kind == STRING:
        return "UTF8" if inner is None else inner
    if kind == STRUCT:
        return [inner, inner.thrift_spec]
    if kind == LIST:
        return (
            (STRUCT, [inner, inner.thrift_spec], False)
            if not isinstance(inner, int)
            else (inner, None, False)
        )
    return None
