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
