"""Reading the nodes that blocks are made with, and what votes for miners in fast finality."""

from __future__ import annotations

from collections.abc import Collection

from apps.blocks.models import F3Lease
from apps.chain.node.link import NodeLink, link_to
from apps.chain.selectors.nodes import nodes_enabled, nodes_for_reading
from apps.chain.states import CONDITION_RANKS, CONDITIONS_FOREIGN, NodeCondition, NodeRole
from apps.miners.models import Miner


def block_links() -> tuple[list[NodeLink], list[NodeLink]]:
    """Return the nodes that blocks are made with, and all that get them.

    Healthy nodes first, among equals those kept for blocks: a node with an old head answers without an error,
    so nothing would move the call to the next one.
    """
    nodes = nodes_enabled()
    reading = sorted(
        nodes_for_reading(nodes),
        key=lambda node: (CONDITION_RANKS[NodeCondition(node.condition)], node.role != NodeRole.WINNING),
    )
    submit = [node for node in nodes if node.condition not in CONDITIONS_FOREIGN]
    return [link_to(node.url, node.token) for node in reading], [
        link_to(node.url, node.token) for node in submit
    ]


def f3_leases(miners: Collection[Miner]) -> list[F3Lease]:
    """Return how these miners take part in fast finality, of those that were asked to; in their order."""
    leases = {lease.miner_id: lease for lease in F3Lease.objects.filter(miner__in=miners)}
    found = [(leases[miner.pk], miner) for miner in miners if miner.pk in leases]
    for lease, miner in found:
        lease.miner = miner
    return [lease for lease, _miner in found]


def f3_links() -> list[NodeLink]:
    """Return the nodes that may vote for miners, in the order in which they are asked for blocks."""
    return block_links()[0]
