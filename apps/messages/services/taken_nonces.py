"""Pushing messages again whose nonce another message used: they were not carried out.

That other one is another program's, or one of ours that was marked as failed, gave its nonce on, and landed
all the same.  Only a person knows whether such a message is still wanted: its caller may have sent another.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.transitions import advance
from apps.messages.errors import BadMessage
from apps.messages.models import Message
from apps.messages.reasons import FOUND_ON_CHAIN
from apps.messages.rules.message_states import wrong_state
from apps.messages.services.approvals import approval_reset
from apps.messages.services.audit import event_record, message_audit
from apps.messages.services.bulk_transitions import NOT_LANDED
from apps.messages.services.recovery.chain_history import History, Landed
from apps.messages.services.recovery.matching import Sent, match_write
from apps.messages.services.replace import version_store
from apps.messages.services.sign import DEAD_EPOCHS
from apps.messages.states import DONE_ANEW, MessageState, Wait
from apps.users.rules.principals import Principal


def message_push_again(
    *, message: Message, client: ChainClient, head: Head, now: datetime, by: Principal | None = None
) -> Message:
    """Reopen a message whose nonce another one used: it waits for a new one, under the same id.

    What the chain has after all, or another program sent with other fees, is recorded as landed instead.
    Raises BadMessage if it is none of these or its last epoch has passed, or while a reorganisation might
    give the nonce back; NodeUnavailable, NodeRefused.
    """
    _require(message, head=head)
    nonce = message.nonce or 0
    landed = History(message.from_addr, client, head).landed([nonce]).get(nonce)
    again_at = (head.height if landed is None else landed.height) + DEAD_EPOCHS
    if head.height < again_at:
        raise BadMessage(
            gettext(
                "possible from epoch {epoch} on: until then a reorganisation may return its nonce"
            ).format(epoch=again_at),
            field="state",
        )
    if landed is not None and message.has_content(landed.message):
        return _land(message, landed, head=head, now=now, by=by)
    return _reopen(message, head=head, now=now, by=by)


@transaction.atomic
def _land(message: Message, landed: Landed, *, head: Head, now: datetime, by: Principal | None) -> Message:
    """Record where the chain has the message."""
    row = Message.objects.select_for_update().get(pk=message.pk)
    _require(row, head=head)
    before = {"state": row.state}
    match_write(row, one=Sent(landed.cid, landed.message, landed=landed), now=now, kind=FOUND_ON_CHAIN)
    row.refresh_from_db()
    message_audit(by, action="message.retry", message=row, before=before, after={"state": row.state})
    return row


def _require(message: Message, *, head: Head) -> None:
    if message.state != MessageState.REPLACED:
        raise wrong_state(message.state, needed=MessageState.REPLACED, field="state")
    if message.kind in DONE_ANEW:
        raise BadMessage(gettext("not needed: the pool sends another message for it"), field="state")
    if 0 < message.expire_epoch < head.height:
        raise BadMessage(
            gettext("epoch {expire_epoch} has passed: push it again").format(
                expire_epoch=message.expire_epoch
            ),
            field="state",
        )


@transaction.atomic
def _reopen(message: Message, *, head: Head, now: datetime, by: Principal | None) -> Message:
    """Remove nonce and signature; the old signed version is kept, as it was published."""
    row = Message.objects.select_for_update().get(pk=message.pk)
    _require(row, head=head)
    version_store(row, now=now)
    before = {"state": row.state, "nonce": row.nonce}
    advance(
        row,
        "RETRY",
        **{
            **NOT_LANDED,
            "nonce": None,
            "signed": b"",
            "cid": "",
            "unsigned_cid": "",
            "filled_at": None,
            "published_at": None,
            "attempts": 0,
            "retry_height": 0,
            "wait": Wait.NEXT_HEAD,
        },
        updated_at=now,
    )
    event_record(row, event="taken back", text="", now=now)
    approval_reset(row, now=now)
    message_audit(by, action="message.retry", message=row, before=before, after={"state": row.state})
    publish(Change("message", row.pk, row.tenant_id))
    return row
