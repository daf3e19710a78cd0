"""What a typed client understood, beside what the server sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

NOTHING: Final[tuple[object, ...]] = (None, [], {}, "", 0, False)
"""What Go writes for a member that was not there, and for an empty list."""


def differences(sent: Any, understood: Any, path: str = "") -> Iterator[str]:
    """Name each member whose value changed on its way through the client's types."""
    if isinstance(sent, dict) and isinstance(understood, dict):
        for name in {**sent, **understood}:
            yield from differences(sent.get(name), understood.get(name), f"{path}.{name}")
    elif isinstance(sent, list) and isinstance(understood, list) and len(sent) == len(understood):
        for at, (left, right) in enumerate(zip(sent, understood, strict=True)):
            yield from differences(left, right, f"{path}[{at}]")
    elif not is_same(sent, understood):
        yield f"{path}: sent {sent!r}, understood {understood!r}"


def is_same(sent: Any, understood: Any) -> bool:
    """Return whether two values are the same but for spelling."""
    if sent == understood or (is_nothing(sent) and is_nothing(understood)):
        return True
    return isinstance(sent, str) and isinstance(understood, str) and is_same_time(sent, understood)


def is_nothing(value: Any) -> bool:
    """Return whether a value is one of Go's zero values."""
    return any(value is one or value == one for one in NOTHING)


def is_same_time(left: str, right: str) -> bool:
    """Return whether two texts are the same moment; Go drops zeros at the end of a fraction."""
    try:
        return datetime.fromisoformat(left) == datetime.fromisoformat(right)
    except (ValueError, TypeError):
        return False
