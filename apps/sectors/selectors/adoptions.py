"""Reads of adoptions: which there are, and how far they are."""

from __future__ import annotations

from django.db.models import QuerySet

from apps.core.uuids import is_uuid
from apps.miners.models import Miner
from apps.sectors.errors.adoptions import AdoptionUnknown
from apps.sectors.models import SectorAdoption


def adoptions_of(miner: Miner) -> QuerySet[SectorAdoption]:
    """Return the adoptions of a miner, the newest first."""
    return miner.adoptions.select_related("miner__tenant").order_by("-pk")


def adoption_get(miner: Miner, uuid: str) -> SectorAdoption:
    """Return one of a miner's.  Raises AdoptionUnknown."""
    row = adoptions_of(miner).filter(uuid=uuid).first() if is_uuid(uuid) else None
    if row is None:
        raise AdoptionUnknown(uuid[:100])
    return row
