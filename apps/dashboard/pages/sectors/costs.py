"""Costs of a sector so far, and the funds that it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.urls import reverse
from django.utils.translation import gettext

from apps.core.formatting import NOTHING, fil, plural
from apps.core.languages import colon_text
from apps.sectors.selectors.sector_costs import SectorCost
from apps.sectors.states import BatchKind

if TYPE_CHECKING:
    from apps.sectors.models import Sector


@dataclass(frozen=True, slots=True)
class CostLine:
    """One cost with the message that caused it."""

    title: str
    value: str
    href: str = ""
    of: str = ""
    """The whole cost of which this is a share."""


def cost_lines(sector: Sector, costs: Sequence[SectorCost]) -> list[CostLine]:
    """Lay out the gas of each message, its sum, and the pledge."""
    lines = [_gas_line(one) for one in costs]
    if len(landed := [one.share for one in costs if one.share is not None]) > 1:
        lines.append(CostLine(gettext("Gas so far"), _amount(sum(landed))))
    pledge = int(sector.initial_pledge)
    lines.append(CostLine(gettext("Pledge"), _amount(pledge) if pledge else NOTHING))
    return lines


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
