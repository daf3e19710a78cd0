"""Following the chain: from the cached tip to a new head, tipset by tipset, through reorganisations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction

from apps.chain.errors import NodeRefused
from apps.chain.models import Follower, Head
from apps.chain.node.client import ChainClient
from apps.chain.node.tipsets import TipsetFacts
from apps.chain.selectors.heads import head_at, head_by_key, head_current
from apps.core.compiled import Compiled
from apps.core.live import Change, publish

FINALITIES_STORED: Final = 3
"""How many finalities of heads stay in the table; older ones can no longer be reverted."""

PRUNE_EVERY: Final = 64
"""Old heads are removed at heights that are multiples of this."""

STALE_EPOCHS: Final = 5
"""A head further below ours is followed only where it is known for a reorganisation."""

DEFAULT_FINALITY: Final = 900
"""Used until the network is known."""


@dataclass(frozen=True, slots=True)
class HeadStepResult:
    """What following one head changed."""

    place: Follower
    """Where the follower is now, and which steps it has enqueued."""
    head: Head
    applied: tuple[str, ...]
    """Keys of tipsets that joined the chain, oldest first."""
    reverted: tuple[str, ...]
    """Keys of tipsets that left it, newest first."""
    has_gap: bool
    """True if the oldest applied tipset does not stand on one that we know."""


class OtherFollower(Exception):
    """Another follower led meanwhile: our lock was lost on the way."""


def head_follow(
    *, client: ChainClient, facts: TipsetFacts, now: datetime, finality: int = DEFAULT_FINALITY
) -> HeadStepResult | None:
    """Make `facts` the head of our chain; None if it is that already, or another follower moved it.

    The way from our tip is computed from our own table and the node's parents, not from what a
    notification claims.  At most `finality` tipsets are filled in; beyond that the new piece stands
    alone (`is_after_gap`).  One transaction; only the follower that leads may call it.
    Raises NodeUnavailable or NodeRefused with nothing written.
    """
    place = follower_load()
    tip = place.head
    if tip is not None and tip.key == facts.key:
        return None
    gap, reverted, joined = _path(client=client, tip=tip, facts=facts, finality=finality)
    has_gap = not joined and bool(gap[-1].parents)
    try:
        with transaction.atomic():
            return _store(
                place,
                facts.key,
                gap=gap[::-1],
                reverted=reverted,
                now=now,
                has_gap=has_gap,
                finality=finality,
            )
    except OtherFollower:
        return None


def head_is_stale(facts: TipsetFacts, *, client: ChainClient, weights: Mapping[str, int]) -> bool:
    """Return whether a head is far below ours because its node still catches up; `client` asks it alone.

    To follow it would take back all landings above.  A reorganisation so far down is followed: the node has
    our head as well, and another branch; or the chain below it is heavier than the one below ours, by
    `weights` if that has our head's key.  Raises NodeUnavailable.
    """
    tip = head_current()
    if tip is None or facts.height >= tip.height - STALE_EPOCHS:
        return False
    if facts.parent_weight > weights.get(tip.key, facts.parent_weight):
        return False
    own = head_at(facts.height)
    if own is None or own.key == facts.key:
        return True
    try:
        client.chain_get_tipset(tip.key)
    except NodeRefused:
        return True
    return False


def follower_load() -> Follower:
    """Return the single row that says where the follower stands."""
    return next(iter(FOLLOWER.rows()), None) or Follower.objects.get_or_create(pk=1)[0]


FOLLOWER: Final[Compiled[Follower]] = Compiled(
    "follower_row", lambda: Follower.objects.select_related("head").filter(pk=1)
)


def enqueued_steps_record(row: Follower, *, key: str, epoch: int) -> None:
    """Record the head and the epoch whose steps were enqueued last."""
    Follower.objects.filter(pk=row.pk).update(steps_key=key, steps_epoch=epoch)


def _path(
    *, client: ChainClient, tip: Head | None, facts: TipsetFacts, finality: int
) -> tuple[list[TipsetFacts], list[str], bool]:
    """Walk down from the new head and from our tip until they meet.

    Returns the new tipsets newest first, the keys of ours that fall away newest first, and whether they met.
    """
    gap: list[TipsetFacts] = []
    reverted: list[str] = []
    local, above = tip, facts
    while True:
        if local is not None and local.key == above.key:
            return gap, reverted, True
        if local is not None and local.height >= above.height:
            reverted.append(local.key)
            local = Head.objects.filter(key=local.parent_key, is_canonical=True).first()
            continue
        gap.append(above)
        if not above.parents or len(gap) >= finality:
            return gap, reverted, False
        if local is not None and local.key == above.parent_key:
            return gap, reverted, True
        above = _tipset(client, above.parent_key)


def _tipset(client: ChainClient, key: str) -> TipsetFacts:
    row = head_by_key(key)
    if row is None:
        return client.chain_get_tipset(key)
    return TipsetFacts(
        height=row.height,
        cids=tuple(row.cids),
        parents=tuple(row.parent_key.split()),
        timestamp=row.timestamp,
        base_fee=int(row.base_fee),
        miners=tuple(row.miners),
    )


def _store(
    place: Follower,
    key: str,
    *,
    gap: Sequence[TipsetFacts],
    reverted: Sequence[str],
    now: datetime,
    has_gap: bool,
    finality: int,
) -> HeadStepResult:
    """Write one change of the chain, whose head is `key` now; `gap` is oldest first here.

    Raises OtherFollower if another one has moved from `place` meanwhile.
    """
    if reverted:
        Head.objects.filter(key__in=reverted).update(is_canonical=False)
    rows = [
        Head(
            key=facts.key,
            height=facts.height,
            cids=list(facts.cids),
            parent_key=facts.parent_key,
            timestamp=facts.timestamp,
            base_fee=facts.base_fee,
            miners=list(facts.miners),
            arrived_at=now,
            is_canonical=True,
            is_after_gap=has_gap and at == 0,
        )
        for at, facts in enumerate(gap)
    ]
    # A tipset that comes back after a reorganisation keeps its row and is canonical again.
    Head.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["key"],
        update_fields=["is_canonical", "is_after_gap", "arrived_at"],
    )
    head = rows[-1] if rows else Head.objects.get(key=key)
    if not Follower.objects.filter(pk=1, head=place.head_id).update(head=head):
        raise OtherFollower
    place.head = head
    if head.height % PRUNE_EVERY == 0:
        floor = head.height - FINALITIES_STORED * max(finality, PRUNE_EVERY)
        Head.objects.filter(height__lt=floor).delete()
    publish(Change("head", head.height, None))
    return HeadStepResult(
        place=place,
        head=head,
        applied=tuple(facts.key for facts in gap),
        reverted=tuple(reverted),
        has_gap=has_gap,
    )
