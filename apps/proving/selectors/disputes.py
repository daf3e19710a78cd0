"""Reading disputes of proofs."""

from __future__ import annotations

from collections.abc import Iterable

from apps.miners.models import Miner
from apps.proving.models import Dispute
from apps.proving.selectors.posts import NOTES_SHOWN


def disputes_latest(miners: Iterable[Miner | int], *, since_height: int) -> list[Dispute]:
    """Return the disputes of proofs of these miners since a height, newest first."""
    rows = Dispute.objects.filter(miner__in=miners, height__gt=since_height)
    return list(rows.select_related("miner").order_by("-height", "-pk")[:NOTES_SHOWN])
