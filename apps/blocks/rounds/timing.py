"""When a round runs: from the moment a base tipset's epoch began, on this machine's clock.

B is the base's timestamp, D an epoch, P the time in which its blocks reach everybody.  The round for the
epoch B + n null rounds + 1 begins at B + n D + P, its block's time is B + (n + 1) D, and after one more P
nobody builds on it any more.
Source: sophon-miner miner/multiminer.go (mining, getLatestBase, untilNextEpoch).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PROPAGATION_SHARE: Final = 0.4
"""Of an epoch, at most, that is waited for further blocks of the base: 12 of 30 s on the main network."""

EQUIVOCATION_SHARE: Final = 2 / 30
"""Of an epoch: so long after a round began, nodes know who has signed two blocks of its base.

Source: lotus build/buildconstants/params_mainnet.go EquivocationDelaySecs.
"""

NULL_ROUNDS_MAX: Final = 10
"""So many epochs without a block, and the node is thought behind, unless its head stood as long before us."""


@dataclass(frozen=True, slots=True)
class RoundTimes:
    """The times of one round, UNIX seconds of this machine."""

    origin: float
    """When the epoch before the block's began: steps are counted from here."""
    block_time: float
    """When the block may be submitted."""
    sign_until: float
    """From then on nobody builds on the block: it is not signed any more."""
    submit_until: float
    """From then on it is not submitted any more."""
    base_again: float = 0.0
    """Not before is the base read again."""

    @property
    def budget_ms(self) -> int:
        """Return the milliseconds from the origin in which a block must be signed."""
        return int((self.sign_until - self.origin) * 1000)


@dataclass(frozen=True, slots=True)
class EpochClock:
    """A network's times."""

    epoch_s: float
    propagation_s: float
    has_own_time: bool
    """A devnet: its time stands still while it does not run, and may be ahead of this machine's."""

    @property
    def wait_s(self) -> float:
        """Return how long blocks of the base are waited for."""
        return min(self.propagation_s, PROPAGATION_SHARE * self.epoch_s)

    def origin(self, timestamp: int, *, seen: float) -> float:
        """Return when the epoch of a tipset began that was first seen at `seen`.

        A tipset cannot be seen before it is there: if it seems so, this machine's clock is behind.
        """
        if 0 <= seen - timestamp <= self.epoch_s:
            return float(timestamp)
        return seen if self.has_own_time else min(float(timestamp), seen)

    def null_rounds(self, origin: float, *, now: float) -> int:
        """Return how many epochs after the base passed without a tipset."""
        return max(int((now - origin - self.wait_s) // self.epoch_s), 0)

    def begins(self, origin: float, nulls: int) -> float:
        """Return when a round begins."""
        return origin + nulls * self.epoch_s + self.wait_s

    def times(self, origin: float, nulls: int) -> RoundTimes:
        """Return the times of a round."""
        block_time = origin + (nulls + 1) * self.epoch_s
        return RoundTimes(
            origin=origin + nulls * self.epoch_s,
            block_time=block_time,
            sign_until=block_time + self.wait_s,
            submit_until=block_time + self.epoch_s,
            base_again=self.begins(origin, nulls) + EQUIVOCATION_SHARE * self.epoch_s,
        )


class StepTimer:
    """The steps of one round, as its row keeps them."""

    def __init__(self, origin: float) -> None:
        self.origin = origin
        self.steps: list[list[str | int]] = []

    def add(self, name: str, *, started: float, ended: float) -> None:
        """Note a step that ran between two moments."""
        self.steps.append([name, int((started - self.origin) * 1000), int((ended - started) * 1000)])
