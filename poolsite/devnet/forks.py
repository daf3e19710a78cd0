"""Forks on purpose: heavier branches from a past tipset, made of valid blocks of the built-in miner."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Protocol

from poolsite.devnet.selection import messages_select

if TYPE_CHECKING:
    from poolsite.devnet.chain import Chain
    from poolsite.devnet.executed_tipset import Link
    from poolsite.devnet.production import BuiltInMiner, FullBlock
    from poolsite.filecoin.message import SignedMessage
    from poolsite.filecoin.policy import Network
    from poolsite.filecoin.tipset import Tipset, TipsetKey

MAX_BRANCH = 500
"""Tipsets after which a branch that is still too light is given up."""


class NoReorg(Exception):
    """A fork that cannot be made."""


class Node(Protocol):
    """What a fork needs of the devnet's node."""

    @property
    def lock(self) -> RLock: ...
    @property
    def chain(self) -> Chain: ...
    @property
    def network(self) -> Network: ...
    @property
    def miner(self) -> BuiltInMiner: ...
    @property
    def head(self) -> Link: ...
    def head_set(self, key: TipsetKey) -> None: ...
    def messages_after(self, link: Link) -> list[SignedMessage]: ...
    def block_submit(self, full: FullBlock, *, now: float | None = None) -> bool: ...
    def tipset_of(self, full: FullBlock) -> TipsetKey: ...


def head_back(node: Node, depth: int) -> Tipset:
    """Set the head back by so many tipsets.  Raises NoReorg."""
    node.head_set(_ancestor(node, depth).key)
    return node.head.tipset


def reorg(node: Node, depth: int, *, nulls: int = 0, with_messages: bool = False) -> Tipset:
    """Replace the newest `depth` tipsets by a heavier branch; it begins with `nulls` null rounds.

    The branch leaves out pending messages unless `with_messages`; those of the old branch come back to the
    pool.  Watchers see one change: the reverts, then the applies.  Raises NoReorg.
    """
    with node.lock:
        old = node.head
        at: Link = _ancestor(node, depth)
        messages = node.messages_after(at) if with_messages else []
        epoch = at.height + 1 + nulls
        _, abandoned = node.chain.path(at.tipset, old.tipset)
        used_timestamp = abandoned[0].min_timestamp if abandoned else 0
        for _ in range(MAX_BRANCH):
            chosen = messages_select(messages, node.chain.state_after(at.key), base_fee=at.next_base_fee)
            least = at.tipset.min_timestamp + node.network.epoch_s * (epoch - at.height)
            # The branch must not begin with the very block that it leaves.
            timestamp = least + 1 if least == used_timestamp else least
            full = node.miner.round(at, epoch, messages=chosen, timestamp=timestamp)
            if full is not None:
                node.block_submit(full, now=timestamp)
                at = node.chain.link(node.tipset_of(full))
            epoch += 1
            if node.head.key == at.key and at.key != old.key:
                return node.head.tipset
        raise NoReorg("the branch did not become heavier")


def _ancestor(node: Node, depth: int) -> Link:
    at = node.head
    for _ in range(depth):
        parent = node.chain.parent(at.tipset)
        if parent is None:
            raise NoReorg(f"the chain has fewer than {depth} tipsets to revert")
        at = parent
    return at
