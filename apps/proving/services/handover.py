"""A miner is handed from one tenant to another: everything that hangs on it in one transaction, or nothing.

What goes: the miner's row and right, its sectors, deadlines, windows and settings, work that nobody has
begun.  What stays the giver's: messages that were pushed, their costs, pledges and the audit log.  A message
on its way keeps its sender and lands; what the pool pushes for the miner afterwards, the receiver pays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import transaction

from apps.core.errors import NotAllowed
from apps.miners.errors import HandOverRefused
from apps.miners.handover import (
    HandOverWish,
    hand_over_check,
    hand_over_locked,
    hand_over_repeated,
    messages_waiting,
    ownership_move,
    senders_used,
)
from apps.proving.models import Deadline
from apps.proving.selectors import prover_stores
from apps.sectors.models import Sector
from apps.sectors.policy import sealing_policy
from apps.sectors.services.handover import jobs_hold, sectors_hand_over, stores_used, unfinished_check
from apps.users.token_scope import tokens_naming

if TYPE_CHECKING:
    from datetime import datetime

    from apps.miners.models import HandOver, Miner
    from apps.users.principals import Principal


@dataclass(frozen=True, slots=True)
class HandOverPlan:
    """What a hand-over would change, for the question that comes first."""

    sectors: int
    deadlines: int
    """How many have live sectors."""
    messages: int
    """To the miner, on their way; they stay the giver's."""
    senders: tuple[str, ...]
    """Addresses that send for it; the giver keeps its right to them."""
    tokens_kept: tuple[str, ...]
    """The giver's tokens that lose it and are for other miners still."""
    tokens_revoked: tuple[str, ...]
    """Those that were for it alone."""


def may_hand_over(principal: Principal) -> bool:
    """Tell whether somebody may hand miners over: an operator who may do everything, no limited token."""
    return principal.is_operator and principal.may("admin") and not principal.is_partial


@transaction.atomic
def miner_hand_over(wish: HandOverWish, *, principal: Principal, now: datetime) -> HandOver:
    """Hand a miner to another tenant; the same key, or the same miner and tenants, is the same hand-over.

    Locks both tenants, the miner and its open jobs, so that a pledge, a claim or another hand-over comes
    wholly before it or wholly after.

    Raises NotAllowed; MinerUnknown, TenantUnknown, MinerNotReady, MinerMoved, HandOverKeyReused;
    HandOverRefused with the field that stands in the way: `tenant`, `signer`, `sectors`, `window`, `prover`.
    """
    hand_over_allowed(principal)
    wish, miner = hand_over_locked(wish)
    earlier = hand_over_repeated(wish, miner)
    if earlier is not None:
        return earlier
    jobs_hold(miner)
    _check(wish, miner, now=now)
    sectors = sectors_hand_over(miner, tenant=wish.receiver)
    return ownership_move(wish, miner, principal=principal, sectors=sectors, now=now)


def hand_over_plan(wish: HandOverWish, *, principal: Principal, now: datetime) -> HandOverPlan:
    """Say what a hand-over would change now.  Raises what `miner_hand_over` raises."""
    hand_over_allowed(principal)
    miner = wish.miner
    _check(wish, miner, now=now)
    kept: list[str] = []
    revoked: list[str] = []
    for token in tokens_naming(tenant=miner.tenant, actor_id=miner.actor_id or 0).filter(revoked_at=None):
        (kept if len(token.miners) > 1 else revoked).append(token.name)
    return HandOverPlan(
        sectors=Sector.objects.filter(miner=miner).count(),
        deadlines=Deadline.objects.filter(miner=miner, live__gt=0).count(),
        messages=messages_waiting(miner),
        senders=tuple(senders_used(miner)),
        tokens_kept=tuple(kept),
        tokens_revoked=tuple(revoked),
    )


def hand_over_allowed(principal: Principal) -> None:
    """Refuse everybody but the operator.  Raises NotAllowed."""
    if not may_hand_over(principal):
        raise NotAllowed("this is for the operator of the pool")


def _check(wish: HandOverWish, miner: Miner, *, now: datetime) -> None:
    hand_over_check(wish, miner)
    unfinished_check(miner, now=now)
    provers_check(wish, miner, now=now)


def provers_check(wish: HandOverWish, miner: Miner, *, now: datetime) -> None:
    """Refuse while nobody of the receiver could prove what the miner has.  Raises HandOverRefused.

    The next window would be missed, which costs power and fees; a store is known by the name inside it.
    """
    if not miner.live_sectors and not Deadline.objects.filter(miner=miner, live__gt=0).exists():
        return
    name = wish.receiver.name
    since = now - timedelta(seconds=sealing_policy().worker_away_s)
    there = prover_stores(tenant_id=wish.receiver.pk, since=since)
    if there is None:
        raise HandOverRefused(
            f"{name} has no prover connected, and it has live sectors to prove", field="prover"
        )
    missing = sorted(stores_used(miner) - there)
    if missing:
        raise HandOverRefused(
            f"no connected prover of {name} has the store {', '.join(missing)}, where its sectors lie",
            field="prover",
        )
