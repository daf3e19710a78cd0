"""What is known of an actor's method: its number, name, parameters and return value.

Source: go-state-types builtin/{method_meta,frc_0042}.go; FRC-0042.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

FIRST_EXPORTED_METHOD: Final = 1 << 24
"""Method numbers from here on are FRC-42 hashes.  Contracts may call only these of built-in actors, the
address manager excepted."""


@dataclass(frozen=True, slots=True)
class MethodSpec:
    """One method of an actor."""

    number: int
    """As in a message's Method field."""
    name: str
    """Go's name; `...Exported` for the FRC-42 twin of a numbered method."""
    params: type[Any] | None = None
    """Class of the parameters; None for a method without."""
    returns: type[Any] | None = None
    """Class of the return value; None for a method without."""


def method_table(*specs: MethodSpec) -> dict[int, MethodSpec]:
    """Return the methods by number."""
    return {int(spec.number): spec for spec in specs}


def frc42_number(name: str) -> int:
    """Return the number of an exported method: the first 4-byte word of the name's hash of at least 2^24."""
    # "1" is the version of the convention.  Words below 2^24 are skipped, since those numbers belong to
    # methods that actors number themselves (frc_0042.go GenerateFRCMethodNum).
    digest = hashlib.blake2b(f"1|{name}".encode()).digest()
    for at in range(0, len(digest), 4):
        number = int.from_bytes(digest[at : at + 4], "big")
        if number >= FIRST_EXPORTED_METHOD:
            return number
    raise ValueError(f"no method number for {name!r}")
