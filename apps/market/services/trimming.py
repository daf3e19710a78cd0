"""Deleting what came to nothing: the newest rows of each miner stay, for people to see why."""

from __future__ import annotations

from typing import Final

from django.db import transaction

from apps.market.models import Deal
from apps.miners.models import Miner
from apps.pieces.states import PieceState

ROWS_MAX: Final = 500
"""Newest refused proposals, and newest failed deals, of a miner whose rows stay."""
UNENDED: Final = (PieceState.UPLOADING, PieceState.FETCHING, PieceState.RECEIVED, PieceState.HELD)
"""States of a piece that may be held for its deal once its data are here: the deal's step ends it then."""


@transaction.atomic
def deals_tidy(miner: Miner, *, state: str) -> None:
    """Delete a miner's oldest deals in a final state.

    Those that a message may still publish stay, and those of which a piece is still to be ended.
    """
    rows = Deal.objects.filter(miner=miner, state=state, messages=None)
    rows = rows.exclude(piece__state__in=UNENDED)
    last = list(rows.order_by("-state_since", "-pk").values_list("pk", flat=True)[ROWS_MAX:])
    if last:  # locked, and read anew: one of them may be accepted this moment
        locked = rows.filter(pk__in=last).order_by("pk").select_for_update(skip_locked=True, of=("self",))
        Deal.objects.filter(pk__in=[deal.pk for deal in locked]).delete()
