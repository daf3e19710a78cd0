"""The cron actor f03: calls actors at the end of each epoch.

Source: go-state-types builtin/v18/cron/cron_types.go.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.actors.method import MethodSpec, method_table
from poolsite.filecoin.codec import ADDRESS, UINT64, Field, Struct, list_of

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address


@dataclass(frozen=True, slots=True)
class CronEntry:
    """An actor that is called each epoch."""

    receiver: Address
    """The actor called."""
    method_num: int
    """Its method."""


CRON_ENTRY: Final = Struct(
    CronEntry,
    Field("receiver", "Receiver", ADDRESS),
    Field("method_num", "MethodNum", UINT64),
)


@dataclass(frozen=True, slots=True)
class ConstructorParams:
    """What is called each epoch."""

    entries: tuple[CronEntry, ...]
    """Actors called each epoch, in order."""


CONSTRUCTOR_PARAMS: Final = Struct(
    ConstructorParams,
    Field("entries", "Entries", list_of(CRON_ENTRY.kind())),
)


class Method(enum.IntEnum):
    """Numbers of the actor's methods; those of at least 2^24 are FRC-42 hashes, for contracts."""

    SEND = 0
    CONSTRUCTOR = 1
    EPOCH_TICK = 2


METHODS: Final = method_table(
    MethodSpec(Method.SEND, "Send"),
    MethodSpec(Method.CONSTRUCTOR, "Constructor", CONSTRUCTOR_PARAMS),
    MethodSpec(Method.EPOCH_TICK, "EpochTick"),
)
"""What each method takes and returns."""
