"""Cron: what happens at the end of every epoch, null rounds included.

Source: builtin-actors actors/cron, actors/power, actors/market.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.devnet.actors.market.settlement import market_tick
from poolsite.devnet.actors.miner.settlement import deadline_settle
from poolsite.devnet.actors.power import power_smooth
from poolsite.devnet.state.rows import CRON, CronEvents

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Machine


def cron_tick(machine: Machine) -> None:
    """Settle the deadlines that end in this epoch, update the network's estimates, look at deals."""
    events: CronEvents | None = machine.draft.get(CRON, machine.epoch)
    if events is not None:
        machine.draft.delete(CRON, machine.epoch)
        for miner_id in events.miners:
            deadline_settle(machine, miner_id)
    power_smooth(machine)
    market_tick(machine.draft, machine.epoch)
