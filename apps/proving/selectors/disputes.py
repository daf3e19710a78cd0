"""Reading disputes of proofs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apps.proving.models import Dispute
from apps.proving.selectors.posts import NOTES_SHOWN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.miners.models import Miner


def disputes_latest(miners: Iterable[Miner | int], *, since_height: int) -> list[Dispute]:
    """Return the disputes of proofs of these miners since a height, newest first."""
    rows = Dispute.objects.filter(miner__in=miners, height__gt=since_height)
    return list(rows.select_related("miner").order_by("-height", "-pk")[:NOTES_SHOWN])
