"""Reading which miners should draw rounds and have had none for a while."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Exists, OuterRef

from apps.blocks.models import Round
from apps.blocks.selectors.foreign_blocks import foreign_blocks_since_move
from apps.blocks.selectors.mining_miners import miners_on
from apps.miners.models import Miner
from apps.sectors.models import Sector
from apps.users.models import MinerGrant

UNBEGUN_EPOCHS: Final = 3
UNBEGUN_S: Final = 60
"""A service that is restarted has drawn again by then, on a chain of short epochs too."""
UNSTARTED_EPOCHS: Final = 20
"""How long after its height a miner that moved in may be without blocks: somebody closes heights first."""
FIRST_ROUND: Final = timedelta(hours=1)
"""After its first power a miner waits for the lookback of the election."""


def miners_unbegun(miners: Sequence[Miner], *, since_epoch: int, now: datetime) -> list[Miner]:
    """Return those of these miners whose people want blocks and that have no round since an epoch.

    A miner that has never had one counts once it has been proving for `FIRST_ROUND`.
    """
    wanted = miners_on(miners)
    drawn = set(
        Round.objects.filter(miner__in=wanted, epoch__gt=since_epoch)
        .order_by()
        .values_list("miner_id", flat=True)
        .distinct()
    )
    silent = [one for one in miners if one.pk in wanted - drawn and one.works_at(since_epoch)]
    if not silent:
        return []
    earlier = Round.objects.filter(miner=OuterRef("pk"))
    proving = Sector.objects.filter(miner=OuterRef("pk"), active=True, active_since__lt=now - FIRST_ROUND)
    due = Miner.objects.filter(Exists(earlier) | Exists(proving), pk__in=[miner.pk for miner in silent])
    keys = set(due.values_list("pk", flat=True))
    return [miner for miner in silent if miner.pk in keys]


def miners_unstarted(miners: Sequence[Miner], *, height: int, epoch_s: float, now: datetime) -> list[Miner]:
    """Return those that moved in and of which nobody makes blocks: setting the height had stopped them.

    Who stops them after that height wants none.
    """
    moved = [
        one
        for one in miners
        if one.works_from is not None
        and one.works_from + UNSTARTED_EPOCHS <= height
        and one.works_until is None
        and one.has_min_power
    ]
    if not moved:
        return []
    grants = MinerGrant.objects.filter(
        actor_id__in=[one.actor_id for one in moved], open_mining=False, deleted_at=None
    )
    stopped = dict(grants.values_list("actor_id", "updated_at"))
    idle = [
        one
        for one in moved
        if (at := stopped.get(one.actor_id or 0)) is not None
        and at < now - timedelta(seconds=(height - (one.works_from or 0)) * epoch_s)
    ]
    made = foreign_blocks_since_move(idle)
    return [one for one in idle if one.pk not in made]


def undrawn_epochs(epoch_s: float) -> int:
    """Return after how many epochs without a round nobody draws them."""
    return max(UNBEGUN_EPOCHS, math.ceil(UNBEGUN_S / max(epoch_s, 1)))
