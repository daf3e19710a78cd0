"""A miner is transferred to another tenant: everything that hangs on it in one transaction, or nothing.

What goes: the miner's row and right, its sectors, deadlines, windows and settings, work that nobody has
begun.  What stays with the old tenant: messages that were pushed, their costs, pledges and the audit log.
A message on its way keeps its sender and lands; what the pool pushes afterwards, the new tenant pays.
So a sealing target, which would spend on, ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from apps.core.errors import NotAllowed
from apps.core.marked_texts import gettext
from apps.miners.errors import TransferRefused
from apps.miners.models import Miner, MinerTransfer
from apps.miners.services.roles import roles_forget
from apps.miners.services.transfer import (
    TransferRequest,
    ownership_move,
    repeated_transfer_find,
    transfer_check,
    transfer_lock,
    used_senders_list,
    waiting_messages_count,
)
from apps.proving.models import Deadline
from apps.proving.selectors.provers import prover_stores
from apps.sectors.models import Sector
from apps.sectors.rules.policy import sealing_policy
from apps.sectors.services.sealing.targets import target_transfer
from apps.sectors.services.transfer import jobs_lock, sectors_transfer, unfinished_check, used_stores_list
from apps.users.rules.principals import Principal
from apps.users.services.token_scope import miner_tokens_list


@dataclass(frozen=True, slots=True)
class TransferPlan:
    """What a transfer would change, for the question that comes first."""

    sectors: int
    deadlines: int
    """How many have live sectors."""
    messages: int
    """To the miner, on their way; they stay the old tenant's."""
    senders: tuple[str, ...]
    """Addresses that send for it; the old tenant keeps its right to them."""
    tokens_kept: tuple[str, ...]
    """The old tenant's tokens that lose it and are for other miners still."""
    tokens_revoked: tuple[str, ...]
    """Those that were for it alone."""


def may_transfer(principal: Principal) -> bool:
    """Return whether somebody may transfer miners: an operator who may do everything, no limited token."""
    return principal.is_operator and principal.may("admin") and not principal.is_partial


@transaction.atomic
def miner_transfer(request: TransferRequest, *, principal: Principal, now: datetime) -> MinerTransfer:
    """Transfer a miner to another tenant; the same key, or the same miner and tenants, is the same transfer.

    Locks both tenants, the miner and its open jobs, so that a pledge, a claim or another transfer comes
    wholly before it or wholly after.

    Raises NotAllowed; MinerUnknown, TenantUnknown, MinerNotReady, MinerMoved, TransferKeyReused;
    TransferRefused with the field that stands in the way: `tenant`, `signer`, `sectors`, `window`, `prover`.
    """
    transfer_require_allowed(principal)
    request, miner = transfer_lock(request)
    earlier = repeated_transfer_find(request, miner=miner)
    if earlier is not None:
        return earlier
    roles_forget(miner)
    removed = target_transfer(miner, by=principal)
    jobs_lock(miner)
    _check(request, miner, now=now)
    sectors = sectors_transfer(miner, tenant=request.to_tenant)
    return ownership_move(
        request, miner=miner, principal=principal, sectors=sectors, removed=removed, now=now
    )


def transfer_plan(request: TransferRequest, *, principal: Principal, now: datetime) -> TransferPlan:
    """Return what a transfer would change now.  Raises what `miner_transfer` raises."""
    transfer_require_allowed(principal)
    miner = request.miner
    _check(request, miner, now=now)
    retained: list[str] = []
    revoked: list[str] = []
    for token in miner_tokens_list(tenant=miner.tenant, actor_id=miner.actor_id or 0).filter(revoked_at=None):
        (retained if len(token.miners) > 1 else revoked).append(token.name)
    return TransferPlan(
        sectors=Sector.objects.filter(miner=miner).count(),
        deadlines=Deadline.objects.filter(miner=miner, live__gt=0).count(),
        messages=waiting_messages_count(miner),
        senders=tuple(used_senders_list(miner)),
        tokens_kept=tuple(retained),
        tokens_revoked=tuple(revoked),
    )


def transfer_require_allowed(principal: Principal) -> None:
    """Refuse everybody but the operator.  Raises NotAllowed."""
    if not may_transfer(principal):
        raise NotAllowed(gettext("only the pool operator can transfer a miner"))


def _check(request: TransferRequest, miner: Miner, *, now: datetime) -> None:
    transfer_check(request, miner=miner)
    unfinished_check(miner, now=now)
    provers_check(request, miner=miner, now=now)


def provers_check(request: TransferRequest, *, miner: Miner, now: datetime) -> None:
    """Refuse while nobody of the new tenant could prove what the miner has.  Raises TransferRefused.

    The next window would be missed, which costs power and fees; a store is known by the name inside it.
    """
    if not miner.live_sectors and not Deadline.objects.filter(miner=miner, live__gt=0).exists():
        return
    name = request.to_tenant.name
    since = now - timedelta(seconds=sealing_policy().worker_away_s)
    readable = prover_stores(tenant_id=request.to_tenant.pk, since=since)
    if readable is None:
        raise TransferRefused(
            gettext("{name} has no prover connected, and the miner has live sectors to prove").format(
                name=name
            ),
            field="prover",
        )
    missing = sorted(used_stores_list(miner) - readable)
    if missing:
        raise TransferRefused(
            gettext("no connected prover of {name} has the store {missing}, which holds its sectors").format(
                name=name, missing=", ".join(missing)
            ),
            field="prover",
        )
