"""What has a history, and of which figures."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Final

from apps.core.clock import DAY


class Kind(StrEnum):
    """Kinds of things that have a history."""

    MINER = "miner"
    HOST = "host"
    STORE = "store"
    WALLET = "wallet"
    GAS = "gas"
    """The chain's base fee; there is one."""
    SEALING = "sealing"
    """What hosts sealed for a miner: counts, where all others are measured."""


class Unit(StrEnum):
    """Units of figures."""

    BYTES = "bytes"
    ATTO = "attoFIL"
    SHARE = "share"
    """0 to 1."""
    CELSIUS = "°C"
    COUNT = "count"


METRICS: Final[dict[Kind, dict[str, Unit]]] = {
    Kind.MINER: {
        "raw_power": Unit.BYTES,
        "qa_power": Unit.BYTES,
        "balance": Unit.ATTO,
        "available": Unit.ATTO,
        "locked": Unit.ATTO,
        "pledge": Unit.ATTO,
        "fee_debt": Unit.ATTO,
        "active_sectors": Unit.COUNT,
        "faulty_sectors": Unit.COUNT,
    },
    Kind.HOST: {
        "cpu": Unit.SHARE,
        "memory": Unit.SHARE,
        "gpu": Unit.SHARE,
        "disk": Unit.SHARE,
        "temperature": Unit.CELSIUS,
        "gpu_temperature": Unit.CELSIUS,
        "slots_busy": Unit.SHARE,
    },
    Kind.STORE: {"used": Unit.BYTES, "size": Unit.BYTES},
    Kind.WALLET: {"balance": Unit.ATTO},
    Kind.GAS: {"base_fee": Unit.ATTO},
}
"""Figures of each kind; those of SEALING are SEALED and the names of stages."""
SEALED: Final = "sealed"
"""Sectors that came to proving."""

SLOT: Final = timedelta(minutes=10)
"""Every so often everything is measured, once."""
HOUR: Final = timedelta(hours=1)
RETENTION: Final = {HOUR: timedelta(days=35), DAY: timedelta(days=400)}
"""For how long rows of an hour and of a day are kept."""
WALLET_HOURS_RETENTION: Final = timedelta(days=8)
"""The same for wallets' rows of an hour: a large pool has ten thousand wallets."""
