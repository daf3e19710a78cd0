"""Reads of block production: who mines, rounds and blocks for a viewer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Q, Sum

from apps.blocks.luck import Luck, luck_of
from apps.blocks.models import Block, MiningDay, Round
from apps.blocks.states import RoundState
from apps.chain.link import link_to
from apps.chain.selectors import nodes_all, nodes_for_reading
from apps.chain.states import STATES_FOREIGN, NodeRole
from apps.miners.models import Miner
from apps.miners.states import MinerState
from apps.users.models import MinerGrant, SignerGrant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from apps.chain.link import NodeLink

UNDRAWN = Q(win_count=0) & ~Q(state=RoundState.NO_WIN)
"""Rounds of which nobody knows whether they would have been won."""


@dataclass(frozen=True, slots=True)
class MiningMiner:
    """A miner that blocks are made for."""

    row: Miner
    account: str
    """Under whose name its signer and prover are asked."""
    may_sign: bool
    """Whether its tenant was granted the worker's key."""


def miners_mining() -> list[MiningMiner]:
    """Return the miners with power whose people want blocks; none costs one query."""
    rows = (
        Miner.objects.select_related("tenant")
        .filter(state=MinerState.ACTIVE, qa_power__gt=0, actor_id__isnull=False)
        .order_by("pk")
    )
    miners = list(rows)
    if not miners:
        return []
    open_miners = set(
        MinerGrant.objects.filter(
            actor_id__in=[row.actor_id for row in miners], open_mining=True, deleted_at=None
        ).values_list("actor_id", "tenant_id")
    )
    granted = set(
        SignerGrant.objects.filter(address__in={row.worker for row in miners}, deleted_at=None).values_list(
            "tenant_id", "address"
        )
    )
    return [
        MiningMiner(row, row.tenant.name, (row.tenant_id, row.worker) in granted)
        for row in miners
        if (row.actor_id, row.tenant_id) in open_miners
    ]


def worker_granted(*, tenant_id: int, worker: str) -> bool:
    """Return whether a tenant was granted a key."""
    return SignerGrant.objects.filter(tenant_id=tenant_id, address=worker, deleted_at=None).exists()


def block_links() -> tuple[list[NodeLink], list[NodeLink]]:
    """Return the nodes that blocks are made with, those kept for it first, and all that get them."""
    reading = sorted(nodes_for_reading(), key=lambda node: node.role != NodeRole.WINNING)
    submit = nodes_all().exclude(state__in=STATES_FOREIGN)
    return [link_to(node.url, node.token) for node in reading], [
        link_to(node.url, node.token) for node in submit
    ]


def rounds_of(miner: Miner, *, first: int | None = None, last: int | None = None) -> QuerySet[Round]:
    """Return a miner's rounds, newest first, between two epochs."""
    rows = Round.objects.filter(miner=miner).order_by("-epoch")
    if first is not None:
        rows = rows.filter(epoch__gte=first)
    return rows if last is None else rows.filter(epoch__lte=last)


def blocks_of(miners: Sequence[Miner]) -> QuerySet[Block]:
    """Return the blocks that were made for these miners, newest first."""
    rows = Block.objects.select_related("round__miner__tenant").filter(round__miner__in=miners)
    return rows.order_by("-height", "-pk")


def is_mining(miner: Miner) -> bool:
    """Return whether blocks are made for a miner once it has power."""
    grants = MinerGrant.objects.filter(
        actor_id=miner.actor_id, tenant_id=miner.tenant_id, open_mining=True, deleted_at=None
    )
    return grants.exists()


def luck_since(miners: Sequence[Miner], *, since: datetime) -> Luck:
    """Return these miners' luck from a moment on, of rounds that are kept and of days in sums."""
    rounds = Round.objects.filter(miner__in=miners, at__gte=since).aggregate(
        wins=Sum("win_count"), expected=Sum("expected", filter=~UNDRAWN)
    )
    days = MiningDay.objects.filter(miner__in=miners, day__gte=since.date()).aggregate(
        expected=Sum("expected")
    )
    return luck_of(rounds["wins"] or 0, (rounds["expected"] or 0.0) + (days["expected"] or 0.0))
