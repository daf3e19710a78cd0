"""The numbers by which sectors are checked and declared faulty or recovered.

`settings.PROVING` changes them, then what the operator sets for the pool, then what is set for a miner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.deadlines import ProvingParams


@dataclass(frozen=True, slots=True)
class ProvingPolicy:
    """Defaults are those of the embedded pool."""

    check_per_s: int = 20
    """Most sectors that a host checks in a second, ahead of their window; 0: as fast as it can."""
    declare_max: int = 1_000
    """Most sectors of one deadline that are declared faulty for one window; the proof leaves out the rest."""
    recover_max: int = 5_000
    """Most faulty sectors of one deadline that are declared recovered for one window; the rest waits."""
    declaration_max: int = 2_500
    """Most sectors of one such message, faulty or recovered."""


LIMITS: Final = {
    "check_per_s": (0, 100_000),
    "declare_max": (0, 1_000_000),
    "recover_max": (1, 1_000_000),
    "declaration_max": (1, 25_000),
}
"""What may be set, and its least and largest value: a message may name 25,000 sectors."""


AHEAD_WINDOWS: Final = 2
"""Sectors are checked so many windows before their faults must be declared."""
INTERVAL_SHARE: Final = 10
"""Two checks are this part of a window apart (6 epochs on mainnet), 2 epochs at least."""


def ahead_epochs(params: ProvingParams) -> int:
    """Return how long before the cut-off the sectors of a window are checked."""
    return AHEAD_WINDOWS * params.window


def again_epochs(params: ProvingParams) -> int:
    """Return how long before it those that were bad are checked again: 40 epochs on mainnet."""
    return 2 * params.window // 3


def interval_epochs(params: ProvingParams) -> int:
    """Return how far apart two checks are that both count."""
    return max(2, params.window // INTERVAL_SHARE)
