"""Ending the back-off of messages that failed: what they lacked is there, or somebody retries them.

A message that failed backs off for up to 60 epochs, so that it holds up nobody; without this it would go on
waiting after its sender was funded or its fee limit raised.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from django.db import transaction
from django.db.models import F, OuterRef, Subquery

from apps.messages.errors import BadMessage
from apps.messages.models import Message, Sender
from apps.messages.services.audit import message_audit
from apps.messages.services.bulk_transitions import publish_message_changes
from apps.messages.services.push import selection_enqueue
from apps.messages.services.timeline import event_record
from apps.messages.states import WIRE_NAMES, MessageState, Wait
from apps.wallets.models import Wallet

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from apps.chain.models import Head
    from apps.users.principals import Principal

RULED: Final = (Wait.FEE_LIMIT, Wait.GAS_CAP)
"""What a change of fee rules or guards may end."""


def messages_backing_off() -> QuerySet[Message]:
    """Return the messages that failed and wait for their next try."""
    return Message.objects.filter(state=MessageState.UNFILLED, attempts__gt=0).order_by()


def retry_after_funding(*, head: Head) -> int:
    """Retry on this head those that lacked money if their sender has more than at the last selection.

    Returns how many.
    """
    rows = messages_backing_off().filter(wait=Wait.FUNDS, retry_height__gt=head.height)
    poor = set(rows.values_list("from_addr", flat=True).distinct())
    if not poor:  # the usual case
        return 0
    held = Subquery(Wallet.objects.filter(address=OuterRef("address")).values("balance")[:1])
    senders = Sender.objects.filter(address__in=poor).annotate(held=held)
    richer = list(senders.filter(held__gt=F("balance")).values_list("address", flat=True))
    return _retry_now(rows.filter(from_addr__in=richer))


def _retry_now(rows: QuerySet[Message]) -> int:
    """End the back-off of these; returns how many."""
    found = list(rows.values_list("pk", "tenant_id"))
    publish_message_changes(found)
    return Message.objects.filter(pk__in=[pk for pk, _ in found], state=MessageState.UNFILLED).update(
        retry_height=0, attempts=0
    )


def retry_after_rule_change(*, address: str = "") -> int:
    """Retry on the next head those whose fees were held down by rules; returns how many."""
    rows = messages_backing_off().filter(wait__in=RULED)
    if address:
        rows = rows.filter(from_addr=address)
    return _retry_now(rows)


def retry_after_policy_change(*, account: str) -> int:
    """Retry on the next head those that this signer's policy refused; returns how many."""
    keys = Wallet.objects.filter(account=account).values("address")
    return _retry_now(messages_backing_off().filter(wait=Wait.POLICY, from_addr__in=keys))


@transaction.atomic
def message_retry_now(*, message: Message, now: datetime, by: Principal | None = None) -> Message:
    """Retry a waiting message at once, whatever its back-off.  Raises BadMessage if it does not wait."""
    if not _retry_now(Message.objects.filter(pk=message.pk, state=MessageState.UNFILLED)):
        message.refresh_from_db()
        raise BadMessage(f"need UnFillMsg got {WIRE_NAMES[message.state]}", field="id")
    event_record(message, "tried by hand", "", now=now)
    before = {"retry": f"at epoch {message.retry_height}"}
    message_audit(by, "message.retry-now", message, before=before, after={"retry": "now"})
    transaction.on_commit(partial(selection_enqueue, message.from_addr))
    message.refresh_from_db()
    return message
