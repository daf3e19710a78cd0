"""Trying messages again: what they lacked is there, or somebody asks for it.

A message that failed backs off for up to 60 epochs, so that it holds up nobody; without this it would go on
waiting after its sender was funded or its fee limit raised.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from django.db import transaction
from django.db.models import F, OuterRef, QuerySet, Subquery

from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.transitions import advance
from apps.messages.errors import BadMessage
from apps.messages.models import Message, Sender
from apps.messages.rules.message_states import wrong_state
from apps.messages.selectors.diagnosis import attempts_barred
from apps.messages.services.approvals import approval_reset
from apps.messages.services.audit import (
    event_record,
    events_record,
    group_audit,
    message_audit,
    messages_audit,
)
from apps.messages.services.bulk_transitions import message_changes_publish, messages_advance
from apps.messages.services.selection import sender_chain_state_read
from apps.messages.services.selection_queue import selection_enqueue
from apps.messages.states import DONE_ANEW, MessageState, Wait
from apps.users.rules.principals import Principal
from apps.wallets.models import Wallet
from apps.wallets.selectors import wallet_get
from apps.wallets.services.policies import policy_change_apply
from poolsite.wire.policy import PolicyApplied, PolicyChange

RULED: Final = (Wait.FEE_LIMIT, Wait.GAS_CAP, Wait.DAILY_BUDGET)
"""What a change of fee rules or guards may end."""


def _messages_backing_off() -> QuerySet[Message]:
    """Return the messages that wait, or waited last, for a later head: they failed, or were postponed."""
    return Message.objects.filter(state=MessageState.UNFILLED, retry_height__gt=0).order_by()


def funded_messages_retry(*, head: Head) -> int:
    """Retry on this head those that lacked money if their sender has more than at the last selection.

    Returns how many.
    """
    rows = _messages_backing_off().filter(wait=Wait.FUNDS, retry_height__gt=head.height)
    unfunded = set(rows.values_list("from_addr", flat=True).distinct())
    if not unfunded:  # the usual case
        return 0
    held = Subquery(Wallet.objects.filter(address=OuterRef("address")).values("balance")[:1])
    senders = Sender.objects.filter(address__in=unfunded).annotate(held=held)
    funded = list(senders.filter(held__gt=F("balance")).values_list("address", flat=True))
    return _retry_now(rows.filter(from_addr__in=funded))


def unfunded_messages_retry(address: str) -> int:
    """Retry those of a sender that lacked money, on the head whose state shows that it has more."""
    return _retry_now(_messages_backing_off().filter(wait=Wait.FUNDS, from_addr=address))


def _retry_now(rows: QuerySet[Message]) -> int:
    """End the back-off of these; returns how many."""
    found = list(rows.values_list("pk", "tenant_id"))
    message_changes_publish(found)
    return Message.objects.filter(pk__in=[pk for pk, _ in found], state=MessageState.UNFILLED).update(
        retry_height=0, attempts=0
    )


def retry_after_rule_change(*, address: str = "") -> int:
    """Retry on the next head those that fee rules or guards kept back; returns how many."""
    rows = _messages_backing_off().filter(wait__in=RULED)
    if address:
        rows = rows.filter(from_addr=address)
    return _retry_now(rows)


def retry_after_policy_change(*, account: str) -> int:
    """Retry on the next head those that this signer's policy refused; returns how many."""
    keys = Wallet.objects.filter(account=account).values("address")
    return _retry_now(_messages_backing_off().filter(wait=Wait.POLICY, from_addr__in=keys))


def message_retry_now(*, message: Message, now: datetime, by: Principal | None = None) -> Message:
    """Retry a waiting message at once, whatever its back-off.

    Raises BadMessage if it does not wait, or where another attempt cannot help.
    """
    _, refused = messages_retry_now([message], now=now, by=by)
    for refusal in refused.values():
        raise refusal
    message.refresh_from_db()
    return message


@transaction.atomic
def messages_retry_now(
    messages: Sequence[Message], *, now: datetime, by: Principal | None = None
) -> tuple[list[Message], dict[str, BadMessage]]:
    """Retry waiting messages at once, whatever their back-off, with one line of the audit log for all.

    Returns those that are retried and, by id, why the others are not: they do not wait, or another attempt
    cannot help.
    """
    locked = Message.objects.select_for_update(no_key=True).filter(pk__in=[row.pk for row in messages])
    rows = {row.pk: row for row in locked.defer("params", "signed", "return_data").order_by("pk")}
    barred = attempts_barred(list(rows.values()))
    refused: dict[str, BadMessage] = {}
    for key, row in rows.items():
        if row.state != MessageState.UNFILLED:
            refused[key] = wrong_state(row.state, needed=MessageState.UNFILLED)
        elif row.needs_approval:
            refused[key] = BadMessage(gettext("another person must approve the message first"), field="id")
        elif why := barred.get(key):
            refused[key] = BadMessage(
                gettext("another attempt cannot help: {reason}").format(reason=why), field="id"
            )
    retried = [row for key, row in rows.items() if key not in refused]
    if retried:
        _retry_now(Message.objects.filter(pk__in=[row.pk for row in retried]))
        events_record(retried, event="tried by hand", now=now)
        _retry_audit(by, retried)
        for address in sorted({row.from_addr for row in retried}):
            transaction.on_commit(partial(selection_enqueue, address))
    return [row for row in messages if row.pk in rows and row.pk not in refused], refused


def _retry_audit(by: Principal | None, rows: Sequence[Message]) -> None:
    if len(rows) == 1:
        before = {"retry": gettext("at epoch {retry_height}").format(retry_height=rows[0].retry_height)}
        message_audit(by, action="message.retry-now", message=rows[0], before=before, after={"retry": "now"})
    else:
        group_audit(by, action="message.retry-all", rows=rows, after={"retry": "now"})


@transaction.atomic
def message_retry(*, message: Message, now: datetime, by: Principal | None = None) -> Message:
    """Reopen a message that was given up before it was signed.

    Raises WrongState if it was not given up, BadMessage if the pool sends another one for it, if its last
    epoch has passed, or if it has a nonce: that one is taken back instead.
    """
    row = Message.objects.select_for_update().get(pk=message.pk)
    if row.nonce is not None:
        raise BadMessage(
            gettext("message {push_id} was signed with nonce {nonce}").format(
                push_id=row.push_id, nonce=row.nonce
            ),
            field="state",
        )
    if row.kind in DONE_ANEW:
        raise BadMessage(gettext("not needed: the pool sends another message for it"), field="state")
    if row.wait == Wait.EXPIRED:  # its caller may push another in its place
        raise BadMessage(
            gettext("epoch {expire_epoch} has passed: push it again").format(expire_epoch=row.expire_epoch),
            field="state",
        )
    before = {"state": row.state}
    advance(row, "RETRY", updated_at=now, wait=Wait.NEXT_HEAD, error="")
    event_record(row, event="taken back", text="", now=now)
    approval_reset(row, now=now)
    message_audit(by, action="message.retry", message=row, before=before, after={"state": row.state})
    publish(Change("message", row.pk, row.tenant_id))
    return row


def messages_recover(
    *,
    address: str,
    client: ChainClient,
    head: Head,
    now: datetime,
    tenant_id: int | None = None,
    ids: Collection[str] | None = None,
    by: Principal | None = None,
) -> list[str]:
    """Put messages that were given up back into flight where their nonce is still open and free.

    Of one tenant only if that is named: others may hold the same address.  Returns the ids under which they
    were pushed.  Raises NodeUnavailable, NodeRefused.
    """
    chain_state = sender_chain_state_read(address, client=client, key=head.key)
    with transaction.atomic():
        # The node was asked before: a selection may have closed the gap meanwhile.
        sender = Sender.objects.select_for_update(no_key=True).filter(address=address).first()
        executed = 0 if sender is None or sender.chain_nonce is None else sender.chain_nonce
        rows = Message.objects.select_for_update().filter(from_addr=address, state=MessageState.FAILED)
        if tenant_id is not None:
            rows = rows.filter(tenant_id=tenant_id)
        if ids is not None:
            rows = rows.filter(pk__in=list(ids))
        locked = rows.filter(nonce__gte=chain_state.chain_nonce).order_by("pk")
        given_up = sorted(locked, key=lambda row: row.created_at)
        used_nonces = _nonces_used(address, given_up, executed=executed)
        signed = {row.nonce: row for row in given_up if row.nonce not in used_nonces}
        data = {
            row.pk: {
                "wait": str(Wait.IN_POOL if row.signed or not row.exported_at else Wait.OFFLINE),
                "error": "",
            }
            for row in signed.values()
        }
        moved = messages_advance("RECOVER", rows=data, now=now)
        if moved:
            Sender.objects.filter(address=address).update(version=F("version") + 1)
        message_changes_publish(moved)
        states = ({"state": str(MessageState.FAILED)}, {"state": str(MessageState.FILLED)})
        messages_audit(
            by, action="message.recover", rows=[(row, *states) for row in signed.values() if row.pk in moved]
        )
    return [row.push_id for row in signed.values() if row.pk in moved]


def _nonces_used(address: str, given_up: Collection[Message], *, executed: int) -> set[int | None]:
    """Return the nonces of these that another message has, or the chain has executed."""
    nonces = {row.nonce for row in given_up}
    holders = Message.objects.filter(
        from_addr=address, nonce__in=nonces, state__in=[MessageState.FILLED, MessageState.LANDED]
    )
    return set(holders.values_list("nonce", flat=True)) | {one for one in nonces if (one or 0) < executed}


def policy_change(viewer: Principal, *, address: str, change: PolicyChange) -> PolicyApplied:
    """Send a signed policy change to the signer; what its policy refused is tried on the next head.

    Raises NotAllowed, NotFound, SignerAway, SignerRefused.
    """
    applied = policy_change_apply(viewer, address=address, change=change)
    retry_after_policy_change(account=wallet_get(viewer, address).account)
    return applied
