"""Two sets of attributes: what was lost, added, changed or renamed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from migrator.compare.found import Found
from migrator.compare.model import Attributes, Value, text

FREE_FROM = 32768  # the first port the kernel gives to who asks for any
_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\]):(\d{1,5})")
CUT_FROM = 1024  # characters; jaeger-client's default max_tag_value_length


def compare_values(before: Attributes, after: Attributes, noun: str) -> Iterator[Found]:
    """Differences named `lost-NOUN`, `extra-NOUN`, `changed-NOUN`, `renamed-NOUN`, or for all
    nouns `changed-type`, `cut-value` and `free-port`."""
    lost = {key: value for key, value in before.items() if key not in after}
    extra = {key: value for key, value in after.items() if key not in before}
    for old, new in _renames(lost, extra):
        yield Found(f"renamed-{noun}", f"{old} -> {new}", text(lost.pop(old)), text(extra.pop(new)))
    for key, value in lost.items():
        yield Found(f"lost-{noun}", key, text(value))
    for key in before.keys() & after.keys():
        if not same(before[key], after[key]):
            name = _change(before[key], after[key]) or f"changed-{noun}"
            say = repr if name == "changed-type" else text
            yield Found(name, key, say(before[key]), say(after[key]))
    for key, value in extra.items():
        yield Found(f"extra-{noun}", key, None, text(value))


def same(before: Value, after: Value) -> bool:
    """Equal in value and type; NaN is NaN."""
    if isinstance(before, float) and isinstance(after, float):
        return before == after or (math.isnan(before) and math.isnan(after))
    return type(before) is type(after) and bool(before == after)


def _change(before: Value, after: Value) -> str:
    """The name of a change that keeps what a reader sees, or nothing."""
    if isinstance(before, str) and isinstance(after, str):
        if len(before) >= CUT_FROM and after.startswith(before):
            return "cut-value"
        return "free-port" if _portless(before) == _portless(after) else ""
    numbers = isinstance(before, (int, float)) and isinstance(after, (int, float))
    if numbers and before == after and not isinstance(before, bool) and not isinstance(after, bool):
        return "changed-type"
    return "changed-type" if _spellings(before) & _spellings(after) else ""


def _portless(value: str) -> str:
    return _LOOPBACK.sub(lambda at: at[1] if int(at[2]) >= FREE_FROM else at[0], value)


def _spellings(value: Value) -> set[str]:
    """The ways libraries turn a value into text: Jaeger's, Python's."""
    return {text(value), str(value)}


def _renames(lost: Attributes, extra: Attributes) -> list[tuple[str, str]]:
    """Keys whose value is found once on either side, under another key."""
    return [
        (old, new[0])
        for old, value in lost.items()
        if len(new := [key for key, other in extra.items() if same(value, other)]) == 1
        and sum(same(value, other) for other in lost.values()) == 1
    ]
