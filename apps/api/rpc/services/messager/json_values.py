"""How the messager's JSON writes numbers, times and lists."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from poolsite.wire.jsonrpc.parameters import BadParam, text


def big(value: Any) -> int:
    """Read Go's big.Int: a decimal string, never null."""
    if value is None:
        raise BadParam("failed to parse big string: 'null'")
    if not isinstance(value, str) or not value.lstrip("-").isdigit() or len(value) > 80:
        raise BadParam(f"failed to parse big string: '{value}'")
    return int(value)


def factor(value: Any) -> float:
    """Read a float64."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadParam("json: cannot unmarshal into Go value of type float64")
    try:
        return float(value)
    except OverflowError:
        raise BadParam("json: cannot unmarshal number into Go value of type float64") from None


def moment(value: Any) -> datetime:
    """Read RFC 3339 time; Python keeps microseconds of Go's nanoseconds."""
    words = text(value)
    head, dot, tail = words.partition(".")
    if dot:
        digits = "".join(char for char in tail if char.isdigit())[:6]
        zone = tail.lstrip("0123456789")
        words = f"{head}.{digits}{zone}"
    try:
        found = datetime.fromisoformat(words.replace("Z", "+00:00"))
    except ValueError:
        raise BadParam(f"parsing time {value!r}: not RFC 3339") from None
    if found.tzinfo is None:
        raise BadParam(f"parsing time {value!r}: the time zone is missing")
    return found


def optional(value: Any, read: Any, default: Any) -> Any:
    """Read a member that may be absent."""
    return default if value is None else read(value)


def items(value: Any) -> list[Any]:
    """Read a list; null is an empty one.  Raises BadParam."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadParam("must be a list")
    return value
