"""What the chain says about miners, stored: all of a miner where its state moved, else only the height.

At a head one question is asked of each miner, its actor.  While state root, balance and deadline stay, so
does all else, but for what vests: so everything is read once in a while all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import structlog

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.node.client import ChainClient
from apps.chain.node.isolation import for_each_isolated
from apps.chain.node.parallel import map_parallel
from apps.miners.due import ESTIMATE_EPOCHS
from apps.miners.models import ChainRoots, Miner, RewardEstimate
from apps.miners.onchain.actors import Actor, actors_read, estimates_read
from apps.miners.onchain.miner_facts import miner_facts
from apps.miners.onchain.partition_facts import deadline_roots
from apps.miners.selectors.chain_roots import roots_active
from apps.miners.services.miner_changes import (
    MinerChange,
    MinerReading,
    miner_change,
    miner_store,
    roots_store,
)
from poolsite.filecoin.deadlines import ProvingParams, current_deadline

log = structlog.get_logger(__name__)

READ_ALL_EPOCHS: Final = 60
"""How long what vests, and all else, is at most believed of a miner whose state root stayed."""


def miners_refresh(
    miners: Sequence[Miner], *, client: ChainClient, height: int, key: str, params: ProvingParams
) -> None:
    """Read at a head the miners that moved, several at a time; one that cannot be read stops no other."""
    if not miners:
        return
    known = {row.miner_id: row for row in roots_active()}
    try:
        actors = actors_read(client, [miner.address for miner in miners], key)
    except NodeUnavailable as error:
        log.warning("miners_not_read", height=height, reason=error.reason[:300])
        return
    moved: list[Miner] = []
    same: list[Miner] = []
    for miner, actor in zip(miners, actors, strict=True):
        stays = _is_same(miner, actor, known.get(miner.pk), height=height, params=params)
        (same if stays else moved).append(miner)
    Miner.objects.filter(pk__in=[miner.pk for miner in same], refreshed_height__lt=height).update(
        refreshed_height=height
    )
    answers = map_parallel(lambda miner: _read(miner, known.get(miner.pk), client=client, key=key), moved)
    found = dict(zip((miner.pk for miner in moved), answers, strict=True))
    rest: list[MinerChange] = []

    def store(miner: Miner) -> None:
        change = miner_change(miner, found=found[miner.pk], client=client, height=height, key=key)
        if change is not None and change.columns:
            miner_store(change, height=height)
        elif change is not None:
            rest.append(change)

    for_each_isolated(moved, store, event="miner_not_refreshed")
    roots_store(rest, height=height)


def _is_same(
    miner: Miner, actor: Actor | NodeRefused, roots: ChainRoots | None, *, height: int, params: ProvingParams
) -> bool:
    """Return whether nothing about a miner can have changed since all was read."""
    if isinstance(actor, NodeRefused) or roots is None or miner.proving_period_start is None:
        return False
    is_fresh = 0 <= height - roots.read_height < READ_ALL_EPOCHS
    deadline = current_deadline(miner.proving_period_start, height, params).index
    seen = (roots.state, int(miner.balance), miner.current_deadline)
    return is_fresh and seen == (actor.root, actor.balance, deadline)


def _read(miner: Miner, known: ChainRoots | None, *, client: ChainClient, key: str) -> MinerReading:
    """Read all about a miner, and its deadlines' CIDs where one of them changed; asks no database."""
    facts = miner_facts(client, miner.address, key)
    if known is not None and known.deadlines == facts.deadlines_root:
        return MinerReading(facts, None)
    return MinerReading(facts, deadline_roots(client, facts.deadlines_root))


def reward_estimate_refresh(*, client: ChainClient, height: int, key: str) -> None:
    """Store the chain's estimates of reward and power, by which costs per day are computed, if they are old.

    A node that does not report them leaves the row as it is.  Raises NodeUnavailable.
    """
    if RewardEstimate.objects.filter(height__gt=height - ESTIMATE_EPOCHS, height__lte=height).exists():
        return
    found = estimates_read(client, key)
    if found:
        RewardEstimate.objects.update_or_create(pk=1, defaults={**found, "height": height})
