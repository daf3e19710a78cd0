"""The numbers by which sectors are checked and declared faulty.  `settings.PROVING` changes them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.conf import settings

if TYPE_CHECKING:
    from poolsite.filecoin.deadlines import ProvingParams


@dataclass(frozen=True, slots=True)
class ProvingPolicy:
    """Defaults are those of the embedded pool."""

    check_per_s: int = 20
    """Most sectors that a host looks at in a second, ahead of their window; 0: as fast as it can."""
    declare_max: int = 1_000
    """Most sectors of one deadline that are declared faulty for one window; the proof leaves out the rest."""


def proving_policy() -> ProvingPolicy:
    """Return the policy in force."""
    return dataclasses.replace(ProvingPolicy(), **getattr(settings, "PROVING", {}))


AHEAD_WINDOWS: Final = 2
"""Sectors are looked at so many windows before their faults must be declared."""
APART_SHARE: Final = 10
"""Two looks are this part of a window apart (6 epochs on mainnet), 2 epochs at least."""


def ahead_epochs(params: ProvingParams) -> int:
    """Return how long before the cut-off the sectors of a window are looked at."""
    return AHEAD_WINDOWS * params.window


def again_epochs(params: ProvingParams) -> int:
    """Return how long before it those that were bad are looked at again: 40 epochs on mainnet."""
    return 2 * params.window // 3


def apart_epochs(params: ProvingParams) -> int:
    """Return how far apart two looks are that both count."""
    return max(2, params.window // APART_SHARE)
