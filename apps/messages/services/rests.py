"""Ending the rest of messages that failed: what they lacked is there, or somebody wants to see it tried.

A message that failed rests for up to 60 epochs, so that it holds up nobody; without this it would sleep on
after its sender was funded or its fee limit raised.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from django.db import transaction
from django.db.models import F, OuterRef, Subquery

from apps.messages.errors import BadMessage
from apps.messages.models import Message, Sender
from apps.messages.services.audit import message_act
from apps.messages.services.moves import messages_told
from apps.messages.services.push import selection_ask
from apps.messages.services.timeline import event_note
from apps.messages.states import WIRE_NAMES, MessageState, Wait
from apps.wallets.models import Wallet

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from apps.chain.models import Head
    from apps.users.principals import Principal

RULED: Final = (Wait.FEE_LIMIT, Wait.GAS_CAP)
"""What a change of fee rules or guards may end."""


def resting() -> QuerySet[Message]:
    """Give what failed and waits for its next try, or has waited."""
    return Message.objects.filter(state=MessageState.UNFILLED, attempts__gt=0).order_by()


def funded_wake(*, head: Head) -> int:
    """Let those that lacked money be tried on this head if their sender has more than at the last look.

    Gives how many.
    """
    rows = resting().filter(wait=Wait.FUNDS, retry_height__gt=head.height)
    poor = set(rows.values_list("from_addr", flat=True).distinct())
    if not poor:  # the usual case
        return 0
    held = Subquery(Wallet.objects.filter(address=OuterRef("address")).values("balance")[:1])
    senders = Sender.objects.filter(address__in=poor).annotate(held=held)
    richer = list(senders.filter(held__gt=F("balance")).values_list("address", flat=True))
    return _wake(rows.filter(from_addr__in=richer))


def _wake(rows: QuerySet[Message]) -> int:
    """End the rest of these; gives how many."""
    found = list(rows.values_list("pk", "tenant_id"))
    messages_told(found)
    return Message.objects.filter(pk__in=[pk for pk, _ in found], state=MessageState.UNFILLED).update(
        retry_height=0, attempts=0
    )


def rules_wake(*, address: str = "") -> int:
    """Let those be tried on the next head whose fees were held down by rules; gives how many."""
    rows = resting().filter(wait__in=RULED)
    if address:
        rows = rows.filter(from_addr=address)
    return _wake(rows)


def policy_wake(*, account: str) -> int:
    """Let those be tried on the next head that this signer's policy refused; gives how many."""
    keys = Wallet.objects.filter(account=account).values("address")
    return _wake(resting().filter(wait=Wait.POLICY, from_addr__in=keys))


@transaction.atomic
def message_try_now(*, message: Message, now: datetime, by: Principal | None = None) -> Message:
    """Have a waiting message tried at once, whatever its rest.  Raises BadMessage if it does not wait."""
    if not _wake(Message.objects.filter(pk=message.pk, state=MessageState.UNFILLED)):
        message.refresh_from_db()
        raise BadMessage(f"need UnFillMsg got {WIRE_NAMES[message.state]}", field="id")
    event_note(message, "tried by hand", "", now=now)
    before = {"retry": f"at epoch {message.retry_height}"}
    message_act(by, "message.try-now", message, before=before, after={"retry": "now"})
    transaction.on_commit(partial(selection_ask, message.from_addr))
    message.refresh_from_db()
    return message
