"""Executing a chain once more: the same messages must give the same state."""

from __future__ import annotations

from poolsite.devnet.consensus import tipset_execute
from poolsite.devnet.node import Devnet
from poolsite.devnet.state.rows import ACTORS
from poolsite.filecoin.amounts import TOTAL_FILECOIN


def replay_check(node: Devnet) -> None:
    """Every tipset gives its stored roots again, and no money came or went."""
    for tipset in node.chain.ancestors(node.head.tipset):
        if not tipset.parents.is_empty:
            assert tipset_execute(node.chain, tipset, node.rules).link == node.chain.link(tipset.key)
    state = node.chain.state_after(node.head.key)
    assert sum(actor.balance for actor in state.records(ACTORS)) == TOTAL_FILECOIN
