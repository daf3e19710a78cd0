"""Reads of block production: who mines, rounds and blocks for a viewer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db.models import Q, Sum

from apps.blocks.luck import Luck, luck_of
from apps.blocks.models import Block, MiningDay, Round
from apps.blocks.states import RoundState
from apps.chain.link import link_to
from apps.chain.selectors import nodes_all, nodes_for_reading
from apps.chain.states import STATES_FOREIGN, NodeRole
from apps.core.errors import NotFound
from apps.miners.models import Miner
from apps.miners.selectors import miners_visible
from apps.miners.states import MinerState
from apps.users.models import MinerGrant, SignerGrant

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from apps.chain.link import NodeLink
    from apps.users.principals import Principal

VESTING_PERCENT: Final = 75
"""Of a reward: it vests over 180 days, a 180th each day.  Source: FIP-0004."""
UNDRAWN: Final = Q(win_count=0) & ~Q(state=RoundState.NO_WIN)
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


def miners_on(miners: Iterable[Miner]) -> set[int]:
    """Return the keys of the miners that blocks are made for once they have power."""
    rows = {(row.actor_id, row.tenant_id): row.pk for row in miners if row.actor_id is not None}
    grants = MinerGrant.objects.filter(
        actor_id__in=[actor_id for actor_id, _ in rows], open_mining=True, deleted_at=None
    )
    return {rows[key] for key in grants.values_list("actor_id", "tenant_id") if key in rows}


def luck_since(miners: Iterable[Miner], *, since: datetime) -> dict[int, Luck]:
    """Return each miner's luck from a moment on, of rounds that are kept and of days in sums, by its key."""
    keys = [miner.pk for miner in miners]
    wins: dict[int, int] = {}
    expected: dict[int, float] = dict.fromkeys(keys, 0.0)
    rounds = Round.objects.filter(miner__in=keys, at__gte=since).order_by().values("miner_id")
    for row in rounds.annotate(wins=Sum("win_count"), drawn=Sum("expected", filter=~UNDRAWN)):
        wins[row["miner_id"]] = row["wins"]
        expected[row["miner_id"]] += row["drawn"] or 0.0
    days = MiningDay.objects.filter(miner__in=keys, day__gte=since.date()).order_by().values("miner_id")
    for day in days.annotate(drawn=Sum("expected")):
        expected[day["miner_id"]] += day["drawn"] or 0.0
    return {key: luck_of(wins.get(key, 0), expected[key]) for key in keys}


def round_get(viewer: Principal, uuid: str) -> Round:
    """Return one round of a miner that the viewer may see.  Raise NotFound."""
    rows = Round.objects.select_related("miner", "block").filter(miner__in=miners_visible(viewer))
    row = rows.filter(uuid=uuid).first()
    if row is None:
        raise NotFound("there is no such round")
    return row


def rounds_latest(miners: Sequence[Miner], *, epochs: int) -> dict[int, list[Round]]:
    """Return the rounds of the newest epochs by the miner's key, oldest first."""
    own = Round.objects.filter(miner__in=miners)
    last = own.order_by("-at").values_list("epoch", flat=True).first()
    found: dict[int, list[Round]] = {}
    if last is not None:
        rows = own.filter(epoch__gt=last - epochs).order_by("epoch").defer("steps")
        for row in rows:
            found.setdefault(row.miner_id, []).append(row)
    return found


def rounds_won(miners: Sequence[Miner]) -> QuerySet[Round]:
    """Return the wins of these miners, newest first."""
    rows = Round.objects.select_related("miner", "block").filter(miner__in=miners, win_count__gt=0)
    return rows.order_by("-epoch", "-pk")


def rewards_since(miners: Sequence[Miner], *, since: datetime) -> tuple[int, int]:
    """Return what blocks on the chain brought since a moment, less penalties, and how much of it vests."""
    sums = Block.objects.filter(
        round__miner__in=miners, round__state=RoundState.INCLUDED, round__at__gte=since
    ).aggregate(reward=Sum("reward"), penalty=Sum("penalty"))
    brought = (sums["reward"] or 0) - (sums["penalty"] or 0)
    return brought, brought * VESTING_PERCENT // 100
