"""Reading the recoveries of faulty sectors."""

from __future__ import annotations

from apps.miners.models import Miner
from apps.proving.models import Recovery
from apps.proving.selectors.posts import NOTES_SHOWN


def recoveries_latest(miner: Miner, *, index: int | None = None) -> list[Recovery]:
    """Return the latest recoveries of a miner, newest first; those of one deadline."""
    rows = Recovery.objects.filter(miner=miner).order_by("-pk")
    return list((rows if index is None else rows.filter(deadline_index=index))[:NOTES_SHOWN])
