"""Settings of senders: state, quota, fees and nonce."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import F, Q

from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.messages.errors import SenderNotFound, SenderShared
from apps.messages.models import Message, Sender
from apps.messages.selectors.senders import sender_may_set
from apps.messages.services.fee_rules import FEE_FIELDS, count_read, fees_set, rules_audit, rules_describe
from apps.messages.services.retry import retry_after_rule_change
from apps.messages.states import SENDER_EVENTS, MessageState, NoncesBy, Wait
from apps.users.rules.principals import Principal


@transaction.atomic
def sender_set(
    *,
    principal: Principal,
    address: str,
    fees: dict[str, Any] | None = None,
    quota: int | None = None,
    state: str | None = None,
    nonces_by: str | None = None,
) -> Sender:
    """Change what is given of a sender's settings.  Raises SenderNotFound, SenderShared, BadMessage.

    `nonces_by`: OTHER leaves the sender to another program, BOTH lets the pool send too; the empty one, too,
    until a program has a message signed again.
    """
    _unshared_check(principal, address)
    row = Sender.objects.select_for_update().filter(address=address).first()
    if row is None:
        raise SenderNotFound(wire="address not exists")
    before = rules_describe(row)
    fees_set(row, fees=fees or {})
    if quota is not None:
        row.quota = count_read(quota, field="quota")
    if nonces_by is not None:
        row.nonces_by = nonces_by
        if row.wait == Wait.OTHER_PROGRAM:
            row.wait = Wait.NONE
    row.save()
    if state is not None and state != row.state:
        advance(row, SENDER_EVENTS[state])
    retry_after_rule_change(address=row.address)
    rules_audit(principal, action="sender.set", target=address, before=before, after=rules_describe(row))
    publish(Change("sender", row.pk, None))
    return row


def sender_other_note(address: str) -> None:
    """Note that another program gives an address' nonces; what a person said of that stays.

    From then on the pool sends only what is pressing for it: its own messages and the program's would take
    each other's nonces.
    """
    row, is_new = Sender.objects.get_or_create(address=address, defaults={"nonces_by": NoncesBy.OTHER})
    rows = Sender.objects.filter(pk=row.pk, nonces_by=NoncesBy.POOL)
    if is_new or (row.nonces_by == NoncesBy.POOL and rows.update(nonces_by=NoncesBy.OTHER)):
        publish(Change("sender", row.pk, None))


@transaction.atomic
def sender_set_nonce(*, principal: Principal, address: str, nonce: int) -> Sender:
    """Set the next nonce by hand, e.g. to close a gap; what was computed from the old one is void.

    Raises SenderNotFound, SenderShared, BadMessage.
    """
    _unshared_check(principal, address)
    row = Sender.objects.select_for_update().filter(address=address).first()
    if row is None:
        raise SenderNotFound(wire="address not exists")
    Sender.objects.filter(pk=row.pk).update(
        next_nonce=count_read(nonce, field="nonce"), version=F("version") + 1
    )
    before = {"nonce": row.next_nonce}
    row.refresh_from_db()
    rules_audit(
        principal, action="sender.nonce", target=address, before=before, after={"nonce": row.next_nonce}
    )
    return row


@transaction.atomic
def sender_delete(*, principal: Principal, address: str) -> None:
    """Forget a sender's settings and nonce; messages stay, and the next push makes it anew.

    While a message waits or may still land the row stays, for its nonce and for its landing, and so does that
    of a key that is kept offline: then only fees and quota are reset, and an address that was stopped stays
    so.  Raises SenderShared.
    """
    _unshared_check(principal, address)
    for row in Sender.objects.select_for_update().filter(address=address):
        if row.is_offline or _may_land(row):
            sender_set(principal=principal, address=address, fees=dict.fromkeys(FEE_FIELDS, 0), quota=0)
            continue
        before = {**rules_describe(row), "nonce": row.next_nonce}
        rules_audit(principal, action="sender.delete", target=address, before=before, after=None)
        row.delete()


def _may_land(sender: Sender) -> bool:
    """Return whether a message of this sender waits, is in flight, or was failed and may still land."""
    given_up = Q(state=MessageState.FAILED, nonce__gte=sender.chain_nonce or 0)
    pending = Q(state__in=[MessageState.UNFILLED, MessageState.FILLED])
    return Message.objects.filter(pending | given_up, from_addr=sender.address).exists()


def _unshared_check(principal: Principal, address: str) -> None:
    """Refuse to a tenant what would change how others send.  Raises SenderShared."""
    if not sender_may_set(principal, address):
        raise SenderShared
