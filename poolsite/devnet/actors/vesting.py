"""The vesting table of a miner: rewards and deposits that come free little by little.

Source: builtin-actors actors/miner/src/vesting_state.rs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from poolsite.filecoin.pledge import vesting_schedule

if TYPE_CHECKING:
    from poolsite.devnet.state.miner_rows import Miner


def vesting_add(miner: Miner, amount: int, *, now: int) -> Miner:
    """Lock `amount` so that it vests linearly over 180 days."""
    if not amount:
        return miner
    entries = dict(miner.vesting)
    for epoch, part in vesting_schedule(amount, epoch=now, offset=miner.period_start):
        entries[epoch] = entries.get(epoch, 0) + part
    return replace(miner, vesting=tuple(sorted(entries.items())), locked=miner.locked + amount)


def vesting_unlock(miner: Miner, *, now: int) -> Miner:
    """Free what has vested before `now`."""
    if not miner.vesting or miner.vesting[0][0] >= now:
        return miner
    vesting = tuple(entry for entry in miner.vesting if entry[0] >= now)
    return replace(miner, vesting=vesting, locked=sum(amount for _, amount in vesting))


def vesting_unlock_early(miner: Miner, amount: int) -> tuple[Miner, int]:
    """Unlock up to `amount` of the vesting table, earliest first; return the miner and what was unlocked."""
    remaining = min(amount, miner.locked)
    unlocked = remaining
    entries: list[tuple[int, int]] = []
    for epoch, part in miner.vesting:
        cut = min(part, remaining)
        remaining -= cut
        if part > cut:
            entries.append((epoch, part - cut))
    return replace(miner, vesting=tuple(entries), locked=miner.locked - unlocked), unlocked
