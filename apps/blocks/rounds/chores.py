"""What the block service does in the database beside rounds: who mines, F3 leases, settling, summing up."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings

from apps.blocks.reasons import LEASED_ELSEWHERE, NOT_MINED
from apps.blocks.selectors.mining_miners import MiningMiner, miners_mining
from apps.blocks.selectors.nodes import block_links, f3_links
from apps.blocks.services.finality import f3_participate, f3_stop
from apps.blocks.services.finality_status import f3_statuses_store
from apps.blocks.services.retention import rounds_sum_up
from apps.blocks.services.rewards import rewards_book
from apps.blocks.services.rounds import rounds_interrupt
from apps.blocks.services.settle import rounds_left_settle, rounds_settle
from apps.chain.node.link import NodeLink, link_to
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.chain.selectors.nodes import nodes_for_reading
from apps.core import clock
from poolsite.filecoin.policy import Network


def mining_read() -> tuple[list[MiningMiner], Network | None, tuple[list[NodeLink], list[NodeLink]]]:
    """Return who mines, on which network and by which nodes; nothing more is read where nobody mines."""
    miners = miners_mining()
    return (miners, network_current(), block_links()) if miners else ([], None, ([], []))


def leases_renew() -> bool:
    """Renew the leases of the miners that blocks are made for; False where there is nothing to look after.

    Where none is, or another program leases for them, no node is asked but about tickets of before.
    """
    miners = [one.row for one in miners_mining() if one.may_sign] if settings.BLOCK_F3 else []
    head = head_current() if miners else None
    if head is not None:
        miners = [one for one in miners if one.works_at(head.height + 1)]
    reason = NOT_MINED() if settings.BLOCK_F3 else LEASED_ELSEWHERE()
    f3_stop(miners, links=f3_links, reason=reason, now=clock.now())
    return bool(miners) and f3_participate(miners, links=f3_links(), now=clock.now())


def chores_do(*, sums_up: bool, settled_key: str = "") -> str:
    """Settle blocks and book rewards by the newest head, whose key is returned; sum up old rounds.

    `settled_key`: of the head by which that was done last.
    """
    head = head_current()
    if head is None:
        return ""
    if head.key != settled_key:
        finality = network_current().chain_finality
        rounds_interrupt(before=head.height - 1, final=head.height - finality)
        rounds_settle(head, finality=finality)
        rewards_book()
    if sums_up:
        rounds_left_settle(head, network=network_current())
        if miners_mining():
            links = {str(node): link_to(node.url, node.token) for node in nodes_for_reading()}
            f3_statuses_store(links, height=head.height)
        stored_for = timedelta(hours=settings.BLOCK_ROUNDS_KEPT_H)
        rounds_sum_up(before=clock.now() - stored_for)
    return head.key
