"""Reading what names the states of miners on the chain, so that only what changed is read again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from apps.core.compiled import Compiled
from apps.miners.models import ChainRoots
from apps.miners.states import MinerState


def roots_active() -> list[ChainRoots]:
    """Return what names the states of the miners whose actor exists, with the miners.

    The CIDs of their deadlines come with `roots_with_each`.
    """
    return ROOTS_ACTIVE.rows()


ROOTS_ACTIVE: Final[Compiled[ChainRoots]] = Compiled(
    "roots_active",
    lambda: (
        ChainRoots.objects.filter(miner__state=MinerState.ACTIVE)
        .defer("each")
        .select_related("miner__tenant")
        .order_by("miner")
    ),
)


def roots_with_each(rows: Sequence[ChainRoots]) -> list[ChainRoots]:
    """Return rows of `roots_active` with the CIDs of their deadlines, all read at once.

    A row that another head has written meanwhile is left out: its CIDs are newer than the head that the
    caller reads, and its turn comes with the next.
    """
    stored = ChainRoots.objects.only("deadlines", "each").in_bulk([row.pk for row in rows])
    same = [row for row in rows if row.pk in stored and stored[row.pk].deadlines == row.deadlines]
    for row in same:
        row.each = stored[row.pk].each
    return same
