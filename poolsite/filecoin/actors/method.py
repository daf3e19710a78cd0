"""What is known of an actor's method: its number, name, parameters and return value.

Source: go-state-types builtin/methods.go, builtin/frc_0042.go; FRC-0042.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

FIRST_EXPORTED_METHOD: Final = 1 << 24
"""Method numbers from here on are FRC-42 hashes that any actor may call."""


@dataclass(frozen=True, slots=True)
class MethodSpec:
    """One method of an actor."""

    number: int
    """The method number of messages."""
    name: str
    """Go's name; `...Exported` for the FRC-42 twin of a numbered method."""
    params: type[Any] | None = None
    """Class of the parameters; None for none."""
    returns: type[Any] | None = None
    """Class of the return value; None for none."""


def method_table(*specs: MethodSpec) -> dict[int, MethodSpec]:
    """The methods by number."""
    return {int(spec.number): spec for spec in specs}


def frc42_number(name: str) -> int:
    """The number of an exported method: the first big-endian word of the name's hash that is high enough."""
    digest = hashlib.blake2b(f"1|{name}".encode()).digest()
    for at in range(0, len(digest), 4):
        number = int.from_bytes(digest[at : at + 4], "big")
        if number >= FIRST_EXPORTED_METHOD:
            return number
    raise ValueError(f"no method number for {name!r}")
