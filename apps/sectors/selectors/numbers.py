"""Which sector numbers of a miner are taken, and by whom; where its counter stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet

from apps.miners.models import Miner
from apps.sectors.models import NumberReservation, Sector, SectorNumbers
from apps.sectors.states import ReservationState
from poolsite.filecoin.bitfield import BitField, bitfield_of


def reservations_named(miner: Miner, *, key: str = "runs") -> dict[str, Any]:
    """Return one column of the open reservations that have a name, by it."""
    rows = NumberReservation.objects.filter(miner=miner, is_lease=False, state=ReservationState.RESERVED)
    return dict(rows.order_by("pk").values_list("name", key))


def numbers_in_use(miner: Miner) -> BitField:
    """Return the numbers of a miner's sectors."""
    return bitfield_of(Sector.objects.filter(miner=miner).order_by().values_list("number", flat=True))


def numbers_known(miner: Miner, numbers: Sequence[int]) -> set[int]:
    """Return those of these numbers that have a row: no more rows are read than are asked about."""
    rows = Sector.objects.filter(miner=miner, number__in=numbers).order_by()
    return set(rows.values_list("number", flat=True))


def numbers_of(miner: Miner) -> SectorNumbers | None:
    """Return a miner's counter of sector numbers; None before the first was given."""
    return SectorNumbers.objects.filter(miner=miner).first()


def reservations_of(miner: Miner) -> QuerySet[NumberReservation]:
    """Return the reservations of a miner's sector numbers, newest first."""
    return NumberReservation.objects.filter(miner=miner).order_by("-pk")
