"""Deleting what came to nothing: the newest rows of each miner stay, for people to see why."""

from __future__ import annotations

from typing import Final

from django.db import transaction

from apps.market.models import Deal
from apps.miners.models import Miner

ROWS_MAX: Final = 500
"""Newest refused proposals, and newest failed deals, of a miner whose rows stay."""


@transaction.atomic
def deals_tidy(miner: Miner, *, state: str) -> None:
    """Delete a miner's oldest deals in a final state; those that a message may still publish stay."""
    rows = Deal.objects.filter(miner=miner, state=state, messages=None)
    last = rows.order_by("-pk").values_list("pk", flat=True)[ROWS_MAX : ROWS_MAX + 1]
    for key in last:  # locked, and read anew: one of them may be accepted this moment
        old = Deal.objects.filter(miner=miner, state=state, pk__lte=key, messages=None)
        locked = old.order_by("pk").select_for_update(skip_locked=True, of=("self",))
        Deal.objects.filter(pk__in=[deal.pk for deal in locked]).delete()
