"""The cron actor f03: calls other actors at the end of each epoch, null rounds included.

Source: go-state-types builtin/v18/cron/{cron_types,cron_state}.go; lotus chain/consensus/compute_state.go.
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
    """A call at the end of each epoch."""

    receiver: Address
    """f0 address."""
    method_num: Uint64
    """A method without parameters."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ConstructorParams:
    """The calls, set at genesis: CronTick of the power actor, then of the market actor."""

    entries: tuple[CronEntry, ...]
    """In the order of the calls."""


class Method(enum.IntEnum):
    """Numbers of the actor's methods, and who may call each; those from 2^24 on are FRC-42 hashes."""

    SEND = 0
    """A plain transfer."""
    CONSTRUCTOR = 1
    """By the system actor, at genesis."""
    EPOCH_TICK = 2
    """By the system actor, after the messages of each epoch."""


METHODS: Final = method_table(
    MethodSpec(Method.SEND, "Send"),
    MethodSpec(Method.CONSTRUCTOR, "Constructor", ConstructorParams),
    MethodSpec(Method.EPOCH_TICK, "EpochTick"),
)
"""What each method takes and returns."""
