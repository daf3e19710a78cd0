"""What all live sectors of miners owe now: the fees of their days, and the fee for ending them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db import connection

from apps.miners.models import Miner, RewardEstimate
from poolsite.filecoin.pledge import (
    TERMINATION_FAULT_PERCENT,
    TERMINATION_FLOOR_PERCENT,
    TERMINATION_FULL_AGE,
    TERMINATION_PERMILLE,
    daily_fee,
)
from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET

SUMS: Final = """
SELECT s.miner_id, count(*), sum(s.expiration - %(height)s), sum(greatest(
         least(f.full_fee, div(greatest(%(height)s - s.activation, 0) * f.full_fee, %(full_age)s)),
         div(s.initial_pledge * %(floor)s, 100), f.by_fault))
  FROM sectors_sector s
  JOIN unnest(%(miners)s::bigint[], %(faults)s::numeric[]) AS fee(miner_id, by_fault) USING (miner_id)
 CROSS JOIN LATERAL (SELECT div(s.initial_pledge * %(permille)s, 1000) AS full_fee, fee.by_fault) f
 WHERE s.state = 'PROVING' AND s.activation IS NOT NULL AND s.expiration > %(height)s
 GROUP BY s.miner_id
"""
"""As `poolsite.filecoin.pledge.termination_fee` has it, for all sectors of some miners in one statement."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """What live sectors owe; amounts in attoFIL."""

    sectors: int = 0
    termination: int = 0
    """Fee for ending all of them now."""
    daily_fees: int | None = 0
    """What the chain takes for a day of them, by the present supply; None where no node has told that."""
    fees_to_end: int | None = 0
    """The same until each one's expiration."""


def exposure_of(miners: Sequence[Miner], *, reward: RewardEstimate, height: int) -> Exposure:
    """Return what the live sectors of some miners owe at a height.

    A sector's power is its miner's mean, and its daily fee that of the present supply: the chain has set each
    sector's by the supply at its activation.
    """
    power = {miner.pk: miner.qa_power // max(miner.active_sectors, 1) for miner in miners}
    faults = [reward.fault_fee(power[miner.pk]) * TERMINATION_FAULT_PERCENT // 100 for miner in miners]
    with connection.cursor() as cursor:
        cursor.execute(
            SUMS,
            {
                "height": height,
                "full_age": TERMINATION_FULL_AGE,
                "floor": TERMINATION_FLOOR_PERCENT,
                "permille": TERMINATION_PERMILLE,
                "miners": list(power),
                "faults": faults,
            },
        )
        rows = cursor.fetchall()
    daily = fees = None
    if reward.circulating is not None:
        each = {pk: int(daily_fee(size, int(reward.circulating))) for pk, size in power.items()}
        daily = sum(each[pk] * count for pk, count, *_ in rows)
        fees = sum(each[pk] * int(epochs) // EPOCHS_PER_DAY_MAINNET for pk, _, epochs, _ in rows)
    return Exposure(sum(row[1] for row in rows), sum(int(row[3]) for row in rows), daily, fees)
