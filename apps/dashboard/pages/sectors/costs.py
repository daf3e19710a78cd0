"""Costs of a sector so far, and the funds that it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.urls import reverse
from django.utils.translation import gettext

from apps.core.formatting import NOTHING, fil, plural
from apps.core.languages import colon_text
from apps.miners.selectors.miners import reward_estimate
from apps.sectors.selectors.sector_costs import SectorCost
from apps.sectors.states import BatchKind
from poolsite.filecoin.pledge import daily_fee
from poolsite.filecoin.policy import EPOCHS_PER_DAY_MAINNET
from poolsite.wire.pipeline import SectorState
from poolsite.wire.pipeline.changes import ChangeState

if TYPE_CHECKING:
    from apps.sectors.models import Sector, SectorChange


@dataclass(frozen=True, slots=True)
class CostLine:
    """One cost with the message that caused it."""

    title: str
    value: str
    href: str = ""
    of: str = ""
    """The whole cost of which this is a share."""


def cost_lines(
    sector: Sector, costs: Sequence[SectorCost], change: SectorChange | None, *, height: int | None
) -> list[CostLine]:
    """Lay out the gas of each message, its sum, the fees, and the pledge.

    Daily fees until `height`, those of a live sector, and the fee of a termination that landed.
    """
    lines = [_gas_line(one) for one in costs]
    landed = [one.share for one in costs if one.share is not None]
    if len(landed) > 1:
        lines.append(CostLine(gettext("Gas so far"), _amount(sum(landed))))
    if change is not None and change.state == ChangeState.TERMINATE_LANDED:
        lines += _fee_lines(change, gas=sum(landed))
    elif height is not None:
        lines += _daily_lines(sector, gas=sum(landed), height=height)
    pledge = int(sector.initial_pledge)
    lines.append(CostLine(gettext("Pledge"), _amount(pledge) if pledge else NOTHING))
    return lines


def _fee_lines(change: SectorChange, *, gas: int) -> list[CostLine]:
    """Return the fee, with the message that brought it, and all that was paid."""
    fee, message = int(change.fee), "" if change.batch is None else change.batch.message_id
    href = reverse("message", args=[message]) if message else ""
    if not fee:  # the change was read back from its message, after a restore
        return [CostLine(gettext("Termination fee"), gettext("not known"), href, gettext("message"))]
    return [
        CostLine(gettext("Termination fee"), _amount(fee), href, gettext("as priced when it was requested")),
        CostLine(gettext("Paid so far"), _amount(gas + fee)),
    ]


def _daily_lines(sector: Sector, *, gas: int, height: int) -> list[CostLine]:
    """Return the daily fees of a live sector until a height, and all that was paid.

    A sector's power is its miner's mean, and its fee that of the present supply, as on *Money*: the chain has
    set it by the supply at its activation, and a node is asked for it on the page of that comparison.
    Not of an adopted one: one from before FIP-0100 pays none until it is extended.
    """
    is_ours = sector.state == SectorState.PROVING and sector.commit_batch_id is not None
    reward = reward_estimate() if is_ours else None
    if reward is None or reward.circulating is None or sector.activation is None:
        return []
    mean = sector.miner.qa_power // max(sector.miner.active_sectors, 1)
    fee = int(daily_fee(mean, int(reward.circulating)))
    paid = fee * max(height - sector.activation, 0) // EPOCHS_PER_DAY_MAINNET
    about = gettext("about {fil} FIL")
    return [
        CostLine(
            gettext("Daily fees so far"),
            about.format(fil=fil(paid)),
            reverse("sector-chain", args=[sector.uuid]),
            gettext("{fil} FIL a day by the present supply").format(fil=fil(fee)),
        ),
        CostLine(gettext("Paid so far"), about.format(fil=fil(gas + paid))),
    ]


def _gas_line(one: SectorCost) -> CostLine:
    title = colon_text(gettext("Gas"), BatchKind(one.kind).label)
    href = reverse("message", args=[one.message.id])
    if one.share is None:
        return CostLine(title, gettext("not landed"), href, gettext("message"))
    of = gettext("{fil} FIL for {sectors}").format(
        fil=fil(int(one.message.gas_cost)), sectors=plural(one.members, "sector")
    )
    return CostLine(title, _amount(one.share), href, of)


def _amount(atto: int) -> str:
    return f"{fil(atto)} FIL"
