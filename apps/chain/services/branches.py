"""Which branch of the chain the pool follows where its nodes do not agree, as after a missed upgrade.

Each node's tipset some epochs below the pool's head is compared.  The heaviest branch is followed, as the
network itself does (expected consensus), once it is clearly heavier: a deep reorganisation has a price, too.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.chain.node.tipsets import TipsetFacts
from apps.chain.reasons import FORKED
from apps.core.reasons import Reason

BRANCH_DEPTH: Final = 10
"""So many epochs below the pool's head a node's tipset is compared with the pool's: few reorganisations reach
so deep, and each ends."""

LEAD_EPOCHS: Final = 2
"""Another branch is followed when it is heavier by what it gains in so many epochs: a node may be one tipset
behind another one, and two branches that are equally heavy would be followed in turns."""

BRANCH_ABSENCE: Final = timedelta(minutes=10)
"""So long after the pool's last head another branch is followed if no node of the pool's own answers: longer
than a node's restart, shorter than a window."""


@dataclass(frozen=True, slots=True)
class BranchSample:
    """The branch that a node is on: its tipset `BRANCH_DEPTH` epochs below the pool's head, and its head."""

    tipset: TipsetFacts
    head: TipsetFacts

    @property
    def lead(self) -> int:
        """Return the weight that its branch gained in `LEAD_EPOCHS`, on average since the tipset."""
        gained = self.head.parent_weight - self.tipset.parent_weight
        return LEAD_EPOCHS * gained // max(self.head.height - self.tipset.height, 1)


def branch_sample_read(client: ChainClient, *, head: TipsetFacts, pool_tipset: Head) -> BranchSample | None:
    """Return which branch a node is on; None if its head is below, or it does not say."""
    if head.height < pool_tipset.height:
        return None
    try:
        tipset = client.chain_get_tipset_by_height(pool_tipset.height, head.key)
    except (NodeUnavailable, NodeRefused):
        return None
    return BranchSample(tipset, head)


def branch_choose(samples: Collection[BranchSample], *, pool_key: str, is_alone: bool) -> str:
    """Return the key of the compared tipset whose branch the pool follows.

    `is_alone`: no other node can be on the pool's branch, or none has answered for long.
    """
    heaviest = max(samples, key=lambda one: one.head.parent_weight, default=None)
    if heaviest is None:
        return pool_key
    own = max((one.head.parent_weight for one in samples if one.tipset.key == pool_key), default=None)
    is_heavier = is_alone if own is None else heaviest.head.parent_weight > own + heaviest.lead
    return heaviest.tipset.key if is_heavier else pool_key


def branch_describe(sample: BranchSample, *, followed: str) -> Reason:
    """Return how a node's branch differs from the one with the tipset `followed`."""
    return FORKED(
        height=sample.tipset.height,
        node_tipset=str(sample.tipset.cids[0]),
        pool_tipset=followed.split()[0],
    )
