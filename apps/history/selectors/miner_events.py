"""Reading what happened to a miner by steps of time: elections won, and how early its proofs landed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from apps.blocks.models import Round
from apps.blocks.states import RoundState
from apps.chain.models import Head
from apps.miners.models import Miner
from apps.proving.models import WindowPost
from apps.proving.states import PostState


def wins_by_step(
    miner: Miner, steps: Sequence[datetime], step: timedelta
) -> tuple[Counter[int], Counter[int]]:
    """Return by step how many wins the chain has blocks of, and how many it has none of."""
    on_chain: Counter[int] = Counter()
    lost: Counter[int] = Counter()
    rows = Round.objects.filter(miner=miner, win_count__gt=0, at__gte=steps[0], at__lt=steps[-1] + step)
    for at, state, count in rows.order_by().values_list("at", "state", "win_count"):
        if state == RoundState.INCLUDED:
            on_chain[(at - steps[0]) // step] += count
        elif state not in (RoundState.WON, RoundState.SUBMITTED):  # these are not over
            lost[(at - steps[0]) // step] += count
    return on_chain, lost


def margins_by_step(
    miner: Miner, steps: Sequence[datetime], step: timedelta, *, head: Head, epoch_s: int
) -> list[tuple[float, float] | None]:
    """Return by step the mean and the least seconds that were left as proofs of windows landed.

    A window that was missed had none left.  None: no window closed.
    """

    def epoch_of(at: datetime) -> int:
        return head.height - int((head.timestamp - at.timestamp()) // epoch_s)

    found: list[list[float]] = [[] for _ in steps]
    first, last = epoch_of(steps[0]), epoch_of(steps[-1] + step)
    rows = WindowPost.objects.filter(
        miner=miner,
        close_epoch__gte=first,
        close_epoch__lt=last,
        state__in=(PostState.LANDED, PostState.MISSED),
    )
    for close, landed, state in rows.order_by().values_list("close_epoch", "landed_height", "state"):
        left = 0 if state == PostState.MISSED or landed is None else max(close - landed, 0)
        place = (close - first) * epoch_s // int(step.total_seconds())
        if place < len(found):
            found[place].append(float(left * epoch_s))
    return [(sum(one) / len(one), min(one)) if one else None for one in found]
