"""A miner goes from one tenant to another: the part that this room knows, its row, right, keys and tokens.

What lies above, sectors and proofs, is checked and moved in the same transaction by
`apps.proving.services.transfer`, which is the one to call.

The rights to sign stay where they are: an address may serve several miners and tenants, and the key lies
on somebody's host.  So the new tenant must have what sends for the miner before the miner comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import transaction

from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.gateway.selectors.connections import keys_served
from apps.messages.models import Message
from apps.messages.states import MessageState
from apps.miners.errors import MinerMoved, MinerNotReady, MinerUnknown, TransferKeyReused, TransferRefused
from apps.miners.models import Miner, MinerTransfer
from apps.miners.selectors.senders import sender_choose
from apps.miners.states import MinerState, Use
from apps.users.errors import TenantUnknown
from apps.users.models import MinerGrant, Tenant
from apps.users.rules.principals import Principal
from apps.users.services.audit import AuditEvent, audit_entries_record, audit_record
from apps.users.services.grants import miner_grant
from apps.users.services.token_scope import tokens_remove_miner
from apps.wallets.selectors import sender_allowed

MOVED = "moved"
"""Kind of the change that pages of both tenants hear: whole lists of theirs are others now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRequest:
    """What is asked."""

    miner: Miner
    to_tenant: Tenant
    from_tenant: str = ""
    """Name of the tenant that owned it when the caller read it; empty: any."""
    key: str = ""
    """The same key again is the same transfer."""


def transfer_lock(request: TransferRequest) -> tuple[TransferRequest, Miner]:
    """Lock both tenants and the miner, in that order, and give request and miner as they are now.

    Raises MinerUnknown, TenantUnknown, MinerMoved if it went to a third tenant meanwhile.
    """
    pks = {request.miner.tenant_id, request.to_tenant.pk}
    rows = Tenant.objects.select_for_update(no_key=True).filter(pk__in=pks, deleted_at=None).order_by("pk")
    tenants = {row.pk: row for row in rows}
    miners = Miner.objects.select_related("tenant").prefetch_related("uses")
    miner = miners.select_for_update(of=("self",), no_key=True).filter(pk=request.miner.pk).first()
    if miner is None:
        raise MinerUnknown(request.miner.address)
    if request.to_tenant.pk not in tenants:
        raise TenantUnknown(request.to_tenant.name, field="tenant")
    if miner.tenant_id not in tenants:
        raise MinerMoved(
            gettext("it now belongs to {tenant}").format(tenant=miner.tenant.name), field="from_tenant"
        )
    return replace(request, to_tenant=tenants[request.to_tenant.pk]), miner


def repeated_transfer_find(request: TransferRequest, *, miner: Miner) -> MinerTransfer | None:
    """Return the transfer that this request repeats: by its key, or as the last one of this miner.

    Raises TransferKeyReused.
    """
    rows = MinerTransfer.objects.select_related("miner", "from_tenant", "to_tenant").filter(miner=miner)
    known = rows.filter(key=request.key).first() if request.key else None
    if known is not None and known.to_tenant_id != request.to_tenant.pk:
        raise TransferKeyReused
    if known is not None:
        return known
    last = rows.order_by("-pk").first()
    is_same = (
        last is not None
        and last.to_tenant_id == request.to_tenant.pk == miner.tenant_id
        and request.from_tenant in ("", last.from_tenant.name)
    )
    return last if is_same else None


def transfer_check(request: TransferRequest, *, miner: Miner) -> None:
    """Check a transfer by what this app knows.

    Raises MinerNotReady, MinerMoved, TransferRefused with the field to blame.
    """
    if miner.actor_id is None or miner.state != MinerState.ACTIVE:
        raise MinerNotReady(
            gettext("{miner} does not exist on the chain yet").format(miner=miner), field="miner"
        )
    if request.from_tenant and request.from_tenant != miner.tenant.name:
        raise MinerMoved(
            gettext("it belongs to {tenant}, not to {from_tenant}").format(
                tenant=miner.tenant.name, from_tenant=request.from_tenant
            ),
            field="from_tenant",
        )
    if miner.tenant_id == request.to_tenant.pk:
        raise TransferRefused(
            gettext("it already belongs to {to_tenant}").format(to_tenant=request.to_tenant.name),
            field="tenant",
        )
    if not request.to_tenant.is_open:
        raise TransferRefused(
            gettext("{to_tenant} is disabled: enable it first").format(to_tenant=request.to_tenant.name),
            field="tenant",
        )
    if not miner.worker:
        raise TransferRefused(
            gettext("its keys are not known yet: try again after the next head"), field="miner"
        )
    signers_check(miner, to_tenant=request.to_tenant)


def signers_check(miner: Miner, *, to_tenant: Tenant) -> None:
    """Refuse while the new tenant cannot have the miner's messages signed.  Raises TransferRefused."""
    needed = used_senders_list(miner)
    name = to_tenant.name
    lacking = [address for address in needed if not sender_allowed(to_tenant.pk, address)]
    if lacking:
        raise TransferRefused(
            gettext(
                "{name} may not sign with {lacking}, which sends for it: grant {name} the address on "
                "the tenant's page first"
            ).format(name=name, lacking=", ".join(lacking)),
            field="signer",
        )
    served = keys_served(name, needed)
    away = [address for address in needed if address not in served]
    if away:
        raise TransferRefused(
            gettext(
                "no connected signer holds {away} for {name}: connect one of {name}'s own, or start "
                "the one that has it with --support-account {name} and approve it on the Gateway page"
            ).format(away=", ".join(away), name=name),
            field="gateway",
        )


def used_senders_list(miner: Miner) -> list[str]:
    """Return the addresses that send for a miner as its present tenant has them, the worker's first.

    The worker signs blocks too; where its tenant has none of all these, the worker is what is missing.
    """
    lawful = [miner.worker, miner.owner, *miner.control]
    named = [row.address for row in miner.uses.all() if row.address in lawful]
    chosen = [sender_choose(miner, use).address for use in Use]
    wanted = dict.fromkeys([miner.worker, *named, *chosen])
    held = [address for address in wanted if sender_allowed(miner.tenant_id, address)]
    return held or [miner.worker]


def waiting_messages_count(miner: Miner) -> int:
    """Count the messages of a miner's tenant to it that have not landed."""
    states = [MessageState.UNFILLED, MessageState.FILLED]
    return Message.objects.filter(tenant_id=miner.tenant_id, state__in=states, to__in=miner.names).count()


@transaction.atomic
def ownership_move(
    request: TransferRequest,
    *,
    miner: Miner,
    principal: Principal,
    sectors: int,
    removed: Sequence[AuditEvent],
    now: datetime,
) -> MinerTransfer:
    """Write the new tenant into row and right, take the miner from the old one's tokens, and publish it.

    `removed` goes into the audit log, too.  The caller still holds the locks of `transfer_lock`.  That the
    pool makes blocks for it stays.
    """
    assert miner.actor_id is not None, "transfer_check lets in miners of the chain only"
    from_tenant, to_tenant = miner.tenant, request.to_tenant
    messages = waiting_messages_count(miner)
    Miner.objects.filter(pk=miner.pk).update(tenant=to_tenant, updated_at=now)
    mines = MinerGrant.objects.filter(actor_id=miner.actor_id).values_list("open_mining", flat=True).first()
    miner_grant(tenant=to_tenant, actor_id=miner.actor_id, open_mining=mines is not False)
    tokens = tokens_remove_miner(tenant=from_tenant, actor_id=miner.actor_id)
    row = MinerTransfer.objects.create(
        miner=miner,
        from_tenant=from_tenant,
        to_tenant=to_tenant,
        key=request.key or None,
        actor=principal.actor[:200],
        at=now,
        sectors=sectors,
        messages=messages,
        tokens_kept=list(tokens.limited),
        tokens_revoked=list(tokens.revoked),
    )
    audit_entries_record(removed)
    transfer_audit(row, principal=principal)
    transfer_publish(miner, tenants=(from_tenant, to_tenant))
    return row


def transfer_audit(row: MinerTransfer, *, principal: Principal) -> None:
    """Write it into the audit log: for the operator, and a line for each of the two tenants' people."""
    before, after = {"tenant": row.from_tenant.name}, {"tenant": row.to_tenant.name, "sectors": row.sectors}
    shared = {**after, "tokens_kept": row.tokens_kept, "tokens_revoked": row.tokens_revoked}
    from_tenant = replace(principal, tenant_id=row.from_tenant_id, source="")
    to_tenant = replace(principal, tenant_id=row.to_tenant_id, source="")
    lines = (
        (principal, "miner.transfer", {**shared, "messages_of_from_tenant": row.messages}),
        (from_tenant, "miner.transfer-out", {**shared, "messages_of_from_tenant": row.messages}),
        (to_tenant, "miner.transfer-in", after),
    )
    for actor, action, fields in lines:
        audit_record(principal=actor, action=action, target=row.miner.address, before=before, after=fields)


def transfer_publish(miner: Miner, *, tenants: Sequence[Tenant]) -> None:
    """Publish that the pages of these tenants, and the operator's, read everything again."""
    for tenant in tenants:
        publish(Change(MOVED, miner.pk, tenant.pk))
