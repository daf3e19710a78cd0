"""Holes in a sender's nonces that no waiting message fills: a transfer of nothing to oneself closes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db.models import Q

from apps.chain.apart import each_apart
from apps.messages.models import Message, Sender
from apps.messages.services.nonces import holes_of, standing_of
from apps.messages.states import MessageState, Priority, Wait

if TYPE_CHECKING:
    from apps.chain.client import ChainClient
    from apps.chain.models import Head
    from apps.users.models import Tenant


PATIENCE_EPOCHS: Final = 5
"""A hole that was open for so long gets a filler although messages wait: they may wait for something else."""


def senders_with_flight(*, head: Head) -> list[str]:
    """Give the senders whose holes are looked for: with messages in flight, and none that could take a hole.

    What rests after a failure takes none, nor what is held up for some epochs.  Where a filler waits already
    another one would be too many.
    """
    waiting = Message.objects.filter(state=MessageState.UNFILLED)
    due = waiting.filter(retry_height__lte=head.height).values("from_addr")
    old = Sender.objects.filter(hole_height__lte=head.height - PATIENCE_EPOCHS).values("address")
    rows = Message.objects.filter(state=MessageState.FILLED)
    rows = rows.exclude(from_addr__in=waiting.filter(kind="gap").values("from_addr"))
    rows = rows.filter(~Q(from_addr__in=due) | Q(from_addr__in=old))
    return list(rows.order_by("from_addr").values_list("from_addr", flat=True).distinct())


def holes_close(*, client: ChainClient, head: Head) -> list[str]:
    """Look for holes below messages in flight and push a filler where one was seen at an earlier head too.

    Gives the ids of new fillers; they are chosen like any message, before the others.
    """
    fillers: list[str] = []
    each_apart(
        senders_with_flight(head=head),
        lambda address: fillers.extend(_holes_close(address, client=client, head=head)),
        event="holes_not_looked_for",
    )
    return fillers


def _holes_close(address: str, *, client: ChainClient, head: Head) -> list[str]:
    """Do it for one sender."""
    sender = Sender.objects.filter(address=address).first()
    if sender is None:
        return []
    holes = holes_of(sender, standing_of(address, client=client, key=head.key))
    first = holes[0] if holes else None
    if first is None or first != sender.hole_nonce or head.height <= (sender.hole_height or 0):
        if first != sender.hole_nonce:
            height = None if first is None else head.height
            Sender.objects.filter(pk=sender.pk).update(hole_nonce=first, hole_height=height)
        return []
    return [_filler(sender, nonce, head=head) for nonce in holes]


def _filler(sender: Sender, nonce: int, *, head: Head) -> str:
    """Push the transfer that will take one hole."""
    name = f"gap:{sender.address}:{nonce}:{head.height}"
    row, _ = Message.objects.get_or_create(
        pk=name,
        defaults={
            "push_id": name,
            "kind": "gap",
            "pushed_by": "system",
            "priority": Priority.GAP,
            "to": sender.address,
            "from_addr": sender.address,
            "method": 0,
            "wait": Wait.NEXT_HEAD,
            "tenant": _tenant_of(sender),
        },
    )
    return row.pk


def _tenant_of(sender: Sender) -> Tenant | None:
    """Give the tenant of the sender's newest message: its key signs the filler."""
    newest = Message.objects.filter(from_addr=sender.address, state=MessageState.FILLED).first()
    return None if newest is None else newest.tenant
