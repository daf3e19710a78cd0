"""What is known of an actor's method: its number, name, parameters and return value.

Low numbers are for messages and other actors; a number from 2^24 on is the FRC-42 hash of a name, under which
contracts may call the method too.  Many methods have both, with the same parameters.

Source: go-state-types builtin/{method_meta,frc_0042}.go; FRC-0042.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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
