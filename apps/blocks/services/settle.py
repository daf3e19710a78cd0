"""What became of submitted blocks, by the chain that the follower wrote down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apps.blocks.models import Round
from apps.blocks.services.rounds import round_advance
from apps.blocks.states import ON_CHAIN, UNSURE, RoundState
from apps.chain.models import Head

if TYPE_CHECKING:
    from apps.chain.models import Head as HeadRow

ORPHAN_DEPTH: Final = 2
"""A block that the chain does not have so many epochs later is orphaned; a reorganisation may bring it
back."""


def rounds_settle(head: HeadRow, *, finality: int) -> int:
    """Move the rounds whose block joined or left the chain; return how many moved."""
    rows = Round.objects.filter(
        epoch__gte=head.height - finality, epoch__lte=head.height, block__isnull=False
    )
    # Without the blocks themselves, which are most of what these rows hold.
    rows = rows.select_related("miner", "block").only(
        "state", "epoch", "miner__uuid", "miner__tenant_id", "block__cid"
    )
    unsure = rows.filter(state__in=UNSURE, win_count__gt=0).exclude(block__cid="")
    open_rows = [*rows.filter(state__in=ON_CHAIN), *unsure]
    if not open_rows:
        return 0
    epochs = {row.epoch for row in open_rows}
    tipsets = dict(Head.objects.filter(is_canonical=True, height__in=epochs).values_list("height", "cids"))
    moved = 0
    for row in open_rows:
        is_there = row.block.cid in tipsets.get(row.epoch, ())
        event = _event(row, is_there=is_there, depth=head.height - row.epoch)
        if event:
            round_advance(row, event)
            moved += 1
    return moved


def _event(row: Round, *, is_there: bool, depth: int) -> str:
    if is_there:
        return "" if row.state == RoundState.INCLUDED else "INCLUDE"
    if row.state == RoundState.INCLUDED:
        return "ORPHAN"
    return "ORPHAN" if row.state == RoundState.SUBMITTED and depth >= ORPHAN_DEPTH else ""
