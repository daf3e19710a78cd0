"""A miner goes from one tenant to another: the part that this room knows, its row, right, keys and tokens.

What lies above, sectors and proofs, is checked and moved in the same transaction by
`apps.proving.services.handover`, which is the one to call.

The rights to sign stay where they are: an address may serve several miners and tenants, and the key lies
on somebody's host.  So the receiver must have what sends for the miner before the miner comes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from apps.core.live import Change, publish
from apps.gateway.selectors import keys_served
from apps.messages.models import Message
from apps.messages.states import MessageState
from apps.miners.errors import HandOverKeyReused, HandOverRefused, MinerMoved, MinerNotReady, MinerUnknown
from apps.miners.models import HandOver, Miner
from apps.miners.selectors import sender_choose
from apps.miners.states import MinerState, Use
from apps.users.errors import TenantUnknown
from apps.users.models import MinerGrant, Tenant
from apps.users.services import audit_record, miner_grant
from apps.users.token_scope import tokens_remove_miner
from apps.wallets.selectors import sender_allowed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from apps.users.principals import Principal

MOVED = "moved"
"""Kind of the change that pages of both tenants hear: whole lists of theirs are others now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOverWish:
    """What is asked."""

    miner: Miner
    receiver: Tenant
    giver: str = ""
    """Name of the tenant that has it as the caller saw it; empty: whoever has it."""
    key: str = ""
    """The same key again is the same hand-over."""


def hand_over_locked(wish: HandOverWish) -> tuple[HandOverWish, Miner]:
    """Lock both tenants and the miner, in that order, and give wish and miner as they are now.

    Raises MinerUnknown, TenantUnknown, MinerMoved if it went to a third tenant meanwhile.
    """
    pks = {wish.miner.tenant_id, wish.receiver.pk}
    rows = Tenant.objects.select_for_update(no_key=True).filter(pk__in=pks, deleted_at=None).order_by("pk")
    tenants = {row.pk: row for row in rows}
    miners = Miner.objects.select_related("tenant").prefetch_related("uses")
    miner = miners.select_for_update(of=("self",), no_key=True).filter(pk=wish.miner.pk).first()
    if miner is None:
        raise MinerUnknown(wish.miner.address)
    if wish.receiver.pk not in tenants:
        raise TenantUnknown(wish.receiver.name, field="tenant")
    if miner.tenant_id not in tenants:
        raise MinerMoved(f"it is {miner.tenant.name}'s by now", field="giver")
    return replace(wish, receiver=tenants[wish.receiver.pk]), miner


def hand_over_repeated(wish: HandOverWish, miner: Miner) -> HandOver | None:
    """Give the hand-over that this wish repeats: by its key, or as the last one of this miner.

    Raises HandOverKeyReused.
    """
    rows = HandOver.objects.select_related("miner", "giver", "receiver").filter(miner=miner)
    known = rows.filter(key=wish.key).first() if wish.key else None
    if known is not None and known.receiver_id != wish.receiver.pk:
        raise HandOverKeyReused
    if known is not None:
        return known
    last = rows.order_by("-pk").first()
    is_same = (
        last is not None
        and last.receiver_id == wish.receiver.pk == miner.tenant_id
        and wish.giver in ("", last.giver.name)
    )
    return last if is_same else None


def hand_over_check(wish: HandOverWish, miner: Miner) -> None:
    """Hold a hand-over against what this room knows.

    Raises MinerNotReady, MinerMoved, HandOverRefused with the field to blame.
    """
    if miner.actor_id is None or miner.state != MinerState.ACTIVE:
        raise MinerNotReady(f"{miner} does not exist on the chain yet", field="miner")
    if wish.giver and wish.giver != miner.tenant.name:
        raise MinerMoved(f"it is {miner.tenant.name}'s, not {wish.giver}'s", field="giver")
    if miner.tenant_id == wish.receiver.pk:
        raise HandOverRefused(f"it is {wish.receiver.name}'s already", field="tenant")
    if not wish.receiver.is_open:
        raise HandOverRefused(f"{wish.receiver.name} is disabled: enable it first", field="tenant")
    if not miner.worker:
        raise HandOverRefused("its keys are not known yet: the next head tells them", field="miner")
    signers_check(miner, receiver=wish.receiver)


def signers_check(miner: Miner, *, receiver: Tenant) -> None:
    """Refuse while the receiver cannot have the miner's messages signed.  Raises HandOverRefused."""
    needed = senders_used(miner)
    name = receiver.name
    lacking = [address for address in needed if not sender_allowed(receiver.pk, address)]
    if lacking:
        raise HandOverRefused(
            f"{name} may not sign with {', '.join(lacking)}, which sends for it: "
            f"give {name} the address on its page first",
            field="signer",
        )
    served = keys_served(name, needed)
    away = [address for address in needed if address not in served]
    if away:
        raise HandOverRefused(
            f"no signer that holds {', '.join(away)} serves {name} now: connect one, "
            "or approve it on the page Gateway",
            field="signer",
        )


def senders_used(miner: Miner) -> list[str]:
    """Give the addresses that send for a miner as its present tenant has them, the worker's first.

    The worker signs blocks too; where its tenant has none of all these, the worker is what is missing.
    """
    lawful = [miner.worker, miner.owner, *miner.control]
    named = [row.address for row in miner.uses.all() if row.address in lawful]
    chosen = [sender_choose(miner, use).address for use in Use]
    wanted = dict.fromkeys([miner.worker, *named, *chosen])
    held = [address for address in wanted if sender_allowed(miner.tenant_id, address)]
    return held or [miner.worker]


def messages_waiting(miner: Miner) -> int:
    """Count the messages of a miner's tenant to it that have not landed."""
    names = [name for name in (miner.address, miner.robust) if name]
    states = [MessageState.UNFILLED, MessageState.FILLED]
    return Message.objects.filter(tenant_id=miner.tenant_id, state__in=states, to__in=names).count()


def ownership_move(
    wish: HandOverWish, miner: Miner, *, principal: Principal, sectors: int, now: datetime
) -> HandOver:
    """Write the new tenant into row and right, take the miner from the old one's tokens, and tell.

    Call it in the transaction that `hand_over_locked` began.  That the pool makes blocks for it stays.
    """
    assert miner.actor_id is not None, "hand_over_check lets in miners of the chain only"
    giver, receiver = miner.tenant, wish.receiver
    messages = messages_waiting(miner)
    Miner.objects.filter(pk=miner.pk).update(tenant=receiver, updated_at=now)
    mines = MinerGrant.objects.filter(actor_id=miner.actor_id).values_list("open_mining", flat=True).first()
    miner_grant(tenant=receiver, actor_id=miner.actor_id, open_mining=mines is not False)
    tokens = tokens_remove_miner(tenant=giver, actor_id=miner.actor_id)
    row = HandOver.objects.create(
        miner=miner,
        giver=giver,
        receiver=receiver,
        key=wish.key or None,
        actor=principal.actor[:200],
        at=now,
        sectors=sectors,
        messages=messages,
        tokens_kept=list(tokens.kept),
        tokens_revoked=list(tokens.revoked),
    )
    hand_over_note(row, principal=principal)
    moved_tell(miner, (giver, receiver))
    return row


def hand_over_note(row: HandOver, *, principal: Principal) -> None:
    """Write it into the audit log: for the operator, and a line for each of the two tenants' people."""
    before, after = {"tenant": row.giver.name}, {"tenant": row.receiver.name, "sectors": row.sectors}
    given = {**after, "tokens_kept": row.tokens_kept, "tokens_revoked": row.tokens_revoked}
    giver = replace(principal, tenant_id=row.giver_id, source="")
    receiver = replace(principal, tenant_id=row.receiver_id, source="")
    lines = (
        (principal, "miner.hand-over", {**given, "messages_of_giver": row.messages}),
        (giver, "miner.given", {**given, "messages_of_giver": row.messages}),
        (receiver, "miner.received", after),
    )
    for whose, action, what in lines:
        audit_record(principal=whose, action=action, target=row.miner.address, before=before, after=what)


def moved_tell(miner: Miner, tenants: Sequence[Tenant]) -> None:
    """Have the pages of these tenants, and the operator's, look at everything again."""
    for tenant in tenants:
        publish(Change(MOVED, miner.pk, tenant.pk))
