"""The cron actor f03: calls actors at the end of each epoch.

Source: go-state-types builtin/v18/cron/cron_types.go.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.actors.method import MethodSpec, method_table
from poolsite.filecoin.address import Address
from poolsite.filecoin.codec import Uint64, cbor_tuple


@cbor_tuple
@dataclass(frozen=True, slots=True)
class CronEntry:
    """An actor that is called each epoch."""

    receiver: Address
    """The actor called."""
    method_num: Uint64
    """Its method."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ConstructorParams:
    """What is called each epoch."""

    entries: tuple[CronEntry, ...]
    """Actors called each epoch, in order."""


class Method(enum.IntEnum):
    """Numbers of the actor's methods; those of at least 2^24 are FRC-42 hashes, for contracts."""

    SEND = 0
    CONSTRUCTOR = 1
    EPOCH_TICK = 2


METHODS: Final = method_table(
    MethodSpec(Method.SEND, "Send"),
    MethodSpec(Method.CONSTRUCTOR, "Constructor", ConstructorParams),
    MethodSpec(Method.EPOCH_TICK, "EpochTick"),
)
"""What each method takes and returns."""
