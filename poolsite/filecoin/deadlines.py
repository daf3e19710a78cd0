"""Proving periods and deadlines: when partitions are challenged and proved, and which deadline gets a sector.

A miner's proving period is cut into deadlines of equal length, each open once a period.  In the order of
time, with mainnet's epochs before the opening in brackets:

    fault cutoff [70]   from here faults and recoveries are refused for this opening
    challenge [20]      the beacon's randomness of this epoch chooses the challenges
    open [0]            first epoch in which a proof may land
    close [-60]         first epoch in which none may; cron has settled the deadline in the epoch before

Nothing here is a constant: every time comes from `ProvingParams`, that is from the network's row or from the
chain's own dline.Info.

Source: go-state-types dline/deadline.go; builtin-actors
actors/miner/src/{deadlines,deadline_assignment,lib}.rs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from poolsite.filecoin.cbor import bytes_write
from poolsite.filecoin.epochs import Quantization
from poolsite.filecoin.kinds import INT64, UINT64, BadField

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address


@dataclass(frozen=True, slots=True)
class ProvingParams:
    """The network's proving times, in epochs; mainnet's in brackets."""

    deadlines: int
    """Deadlines of one proving period [48]."""
    window: int
    """Epochs for which a deadline is open [60]."""
    lookback: int
    """Epochs from the challenge to the opening [20]."""
    fault_cutoff: int
    """Epochs before the opening from which faults and recoveries can no longer be declared [70]."""
    proving_period: int = 0
    """Epochs of a proving period [2880]; 0 stands for deadlines times window."""

    @property
    def period(self) -> int:
        """Return the length of a proving period, epochs."""
        return self.proving_period or self.deadlines * self.window


@dataclass(frozen=True, slots=True)
class DeadlineInfo:
    """One deadline of one proving period, seen from an epoch (dline.Info)."""

    current_epoch: int
    """The epoch that it is seen from."""
    period_start: int
    """First epoch of the proving period."""
    index: int
    """From 0; the number of deadlines stands for the moment after the last."""
    open: int
    """First epoch in which a proof may land."""
    close: int
    """First epoch in which no proof may land any more."""
    challenge: int
    """Epoch at which the challenge is drawn from the beacon; before `open`."""
    fault_cutoff: int
    """First epoch in which faults and recoveries can no longer be declared for it."""
    params: ProvingParams
    """Lengths of periods and windows of the network."""

    @property
    def last(self) -> int:
        """Return the last open epoch, at whose end cron settles the deadline."""
        return self.close - 1

    @property
    def is_open(self) -> bool:
        """Return whether a proof may land now."""
        return self.open <= self.current_epoch < self.close

    @property
    def has_elapsed(self) -> bool:
        """Return whether it has closed."""
        return self.current_epoch >= self.close

    @property
    def fault_cutoff_passed(self) -> bool:
        """Return whether it is too late to declare faults or recoveries for it."""
        return self.current_epoch >= self.fault_cutoff

    @property
    def period_started(self) -> bool:
        """Return whether its proving period has begun."""
        return self.current_epoch >= self.period_start

    @property
    def next_period_start(self) -> int:
        """Return the first epoch of the following proving period."""
        return self.period_start + self.params.period

    @property
    def quantization(self) -> Quantization:
        """Return the grid to which expirations of this deadline's sectors are rounded up: its last epochs."""
        return Quantization(unit=self.params.period, offset=self.last)

    def next_not_elapsed(self) -> DeadlineInfo:
        """Return this deadline in the first proving period in which it has not closed yet.

        While it is open that is the present one.  Source: dline.Info.NextNotElapsed.
        """
        if not self.has_elapsed:
            return self
        period = self.params.period
        # A period may start before epoch 0; Python's remainder is not negative for it, as Go's would be.
        start = self.current_epoch // period * period + self.period_start % period
        while start > self.current_epoch:
            start -= period
        if self.current_epoch >= start + (self.index + 1) * self.params.window:
            start += period
        return deadline_info(start, self.index, self.current_epoch, self.params)

    def at(self, epoch: int) -> DeadlineInfo:
        """Return the same deadline seen from another epoch."""
        return replace(self, current_epoch=epoch)


def deadline_info(period_start: int, index: int, current_epoch: int, params: ProvingParams) -> DeadlineInfo:
    """Return the deadline `index` of the period that starts at `period_start`.  Source: dline.NewInfo."""
    if index >= params.deadlines:
        end = period_start + params.period
        # After the last deadline: an empty one at the period's end, with cutoff 0 as dline.NewInfo has it.
        return DeadlineInfo(current_epoch, period_start, index, end, end, end, 0, params)
    opening = period_start + index * params.window
    return DeadlineInfo(
        current_epoch=current_epoch,
        period_start=period_start,
        index=index,
        open=opening,
        close=opening + params.window,
        challenge=opening - params.lookback,
        fault_cutoff=opening - params.fault_cutoff,
        params=params,
    )


_JSON_FIELDS: Final = (
    ("current_epoch", "CurrentEpoch"),
    ("period_start", "PeriodStart"),
    ("index", "Index"),
    ("open", "Open"),
    ("close", "Close"),
    ("challenge", "Challenge"),
    ("fault_cutoff", "FaultCutoff"),
)
"""Fields of a deadline and the members of Go's dline.Info, the network's times aside."""


def deadline_to_json(info: DeadlineInfo) -> dict[str, int]:
    """Return the JSON object that StateMinerProvingDeadline returns."""
    result: dict[str, int] = {name: getattr(info, attr) for attr, name in _JSON_FIELDS}
    result["WPoStPeriodDeadlines"] = info.params.deadlines
    result["WPoStProvingPeriod"] = info.params.period
    result["WPoStChallengeWindow"] = info.params.window
    result["WPoStChallengeLookback"] = info.params.lookback
    result["FaultDeclarationCutoff"] = info.params.fault_cutoff
    return result


def deadline_from_json(value: Any) -> DeadlineInfo:
    """Read that JSON object, with the network's proving times.  Raises BadField."""
    if not isinstance(value, dict):
        raise BadField("", "a deadline must be an object")

    def number(name: str) -> int:
        """Return a member, which Go has as uint64 or int64.  Raises BadField naming it."""
        kind = UINT64 if name in ("Index", "WPoStPeriodDeadlines") else INT64
        result: int = kind.read_json(value.get(name), name)
        return result

    params = ProvingParams(
        deadlines=number("WPoStPeriodDeadlines"),
        window=number("WPoStChallengeWindow"),
        lookback=number("WPoStChallengeLookback"),
        fault_cutoff=number("FaultDeclarationCutoff"),
        proving_period=number("WPoStProvingPeriod"),
    )
    if params.deadlines <= 0 or params.window <= 0 or params.period <= 0:
        raise BadField("WPoStPeriodDeadlines", "proving times must be positive")
    return DeadlineInfo(params=params, **{attr: number(name) for attr, name in _JSON_FIELDS})


def current_deadline(period_start: int, current_epoch: int, params: ProvingParams) -> DeadlineInfo:
    """Return the deadline open at `current_epoch`; the miner's periods start at `period_start` mod period."""
    period = params.period
    start = current_epoch - (current_epoch - period_start) % period
    return deadline_info(start, (current_epoch - start) // params.window, current_epoch, params)


def proving_period_offset(miner: Address, epoch: int, params: ProvingParams) -> int:
    """Return where in the grid of periods a new miner's start: a hash of its address and creation epoch.

    Source: builtin-actors actors/miner/src/lib.rs assign_proving_period_offset.
    """
    # The address is hashed in its CBOR form, that is behind a length, the epoch as 8 bytes without one.
    seed = bytes_write(bytes(miner)) + epoch.to_bytes(8, "big", signed=True)
    return int.from_bytes(hashlib.blake2b(seed, digest_size=32).digest()[:8], "big") % params.period


def is_mutable(info: DeadlineInfo) -> bool:
    """Return whether sectors may be assigned to, moved in or removed from the deadline now.

    Not while it is open or the next to open.  Source: builtin-actors actors/miner/src/deadlines.rs
    deadline_is_mutable.
    """
    following = info.next_not_elapsed()
    # Already frozen one window before it opens, that is while the deadline before it is open.
    return following.current_epoch < following.open - info.params.window


def is_available_for_compaction(info: DeadlineInfo, *, dispute_window: int) -> bool:
    """Return whether partitions may be compacted: mutable, and the last proofs no longer disputable.

    Source: builtin-actors actors/miner/src/deadlines.rs deadline_available_for_compaction.
    """
    return is_mutable(info) and not is_available_for_dispute(info, dispute_window=dispute_window)


def is_available_for_dispute(info: DeadlineInfo, *, dispute_window: int) -> bool:
    """Return whether the proofs of its last window can be disputed: for `dispute_window` epochs after it.

    The chain takes most WindowPoSts unverified; who shows within this time that one was wrong is rewarded.
    Not while the deadline is open, and no longer once the miner may have compacted it.

    Source: builtin-actors actors/miner/src/deadlines.rs deadline_available_for_optimistic_post_dispute.
    """
    following = info.next_not_elapsed()
    if not info.period_started or following.is_open:
        return False
    return info.current_epoch < following.close - info.params.period + dispute_window
