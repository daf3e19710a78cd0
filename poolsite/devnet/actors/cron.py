"""Cron: what happens at the end of every epoch, null rounds included.

Source: builtin-actors actors/cron, actors/power, actors/market.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.devnet.actors.frames import implicit, inner_call
from poolsite.devnet.actors.market.settlement import market_tick
from poolsite.devnet.actors.miner.settlement import deadline_settle
from poolsite.devnet.actors.power import power_smooth
from poolsite.devnet.state.rows import CRON, CronEvents
from poolsite.filecoin.actors.cron import Method
from poolsite.filecoin.actors.market import Method as MarketMethod
from poolsite.filecoin.actors.miner import Method as MinerMethod
from poolsite.filecoin.actors.power import Method as PowerMethod
from poolsite.filecoin.address import CRON_ACTOR, MARKET_ACTOR, POWER_ACTOR, id_address

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Machine


def cron_tick(machine: Machine) -> None:
    """Settle the deadlines that end in this epoch, update the network's estimates, look at deals."""
    with implicit(machine, CRON_ACTOR, Method.EPOCH_TICK):
        with inner_call(machine, POWER_ACTOR, PowerMethod.CRON_TICK):
            _deadlines_settle(machine)
            power_smooth(machine)
        with inner_call(machine, MARKET_ACTOR, MarketMethod.CRON_TICK):
            market_tick(machine.draft, machine.epoch)


def _deadlines_settle(machine: Machine) -> None:
    events: CronEvents | None = machine.draft.get(CRON, machine.epoch)
    if events is None:
        return
    machine.draft.delete(CRON, machine.epoch)
    for miner_id in events.miners:
        with inner_call(machine, id_address(miner_id), MinerMethod.ON_DEFERRED_CRON_EVENT):
            deadline_settle(machine, miner_id)
