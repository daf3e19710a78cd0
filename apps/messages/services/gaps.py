"""Gaps in a sender's nonces that no waiting message fills: a transfer of nothing to oneself closes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.db import transaction
from django.db.models import Q

from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.chain.node.isolation import for_each_isolated
from apps.messages.models import Message, Sender
from apps.messages.services.selection import nonce_gaps_find, sender_chain_state_read
from apps.messages.states import MessageState, Priority, Wait
from apps.users.models import Tenant
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.ethereum import transfer_method

GAP_PATIENCE_EPOCHS: Final = 5
"""A gap open for so long gets a filler although messages wait: they may wait for something else."""


def _senders_with_flight(*, head: Head) -> list[str]:
    """Return the senders to search for gaps: with messages in flight, and none that could take a gap.

    A message that backs off takes none, nor one that is held up for some epochs.  Where a gap filler waits
    already another one would be too many.
    """
    waiting = Message.objects.filter(state=MessageState.UNFILLED)
    due = waiting.filter(needs_approval=False, retry_height__lte=head.height).values("from_addr")
    old = Sender.objects.filter(gap_height__lte=head.height - GAP_PATIENCE_EPOCHS).values("address")
    rows = Message.objects.filter(state=MessageState.FILLED)
    rows = rows.exclude(from_addr__in=waiting.filter(kind="gap").values("from_addr"))
    # What a person exports next takes the gap; nobody here can sign a filler.
    rows = rows.exclude(from_addr__in=Sender.objects.filter(is_offline=True).values("address"))
    rows = rows.filter(~Q(from_addr__in=due) | Q(from_addr__in=old))
    return list(rows.order_by("from_addr").values_list("from_addr", flat=True).distinct())


def gaps_fill(*, client: ChainClient, head: Head) -> list[str]:
    """Look for gaps below messages in flight and push a gap filler where one was seen at an earlier head too.

    Returns the ids of new gap fillers; they are chosen like any message, before the others.
    """
    filled: list[str] = []
    for_each_isolated(
        _senders_with_flight(head=head),
        lambda address: filled.extend(_sender_gaps_fill(address, client=client, head=head)),
        event="gap_fill_failed",
    )
    return filled


def _sender_gaps_fill(address: str, *, client: ChainClient, head: Head) -> list[str]:
    """Do it for one sender."""
    sender = Sender.objects.filter(address=address).first()
    if sender is None:
        return []
    gaps = nonce_gaps_find(sender, chain_state=sender_chain_state_read(address, client=client, key=head.key))
    first = gaps[0] if gaps else None
    if first is None or first != sender.gap_nonce or head.height <= (sender.gap_height or 0):
        if first != sender.gap_nonce:
            height = None if first is None else head.height
            Sender.objects.filter(pk=sender.pk).update(gap_nonce=first, gap_height=height)
        return []
    return _fillers_push(sender, gaps, head=head)


@transaction.atomic
def _fillers_push(sender: Sender, gaps: Sequence[int], *, head: Head) -> list[str]:
    """Push a transfer for each gap, unless a selection or another pass has come between since they were read.

    Each head brings a pass, and a slow one is still at work then: a second filler would take a nonce that
    nothing needs, and pay for it.
    """
    fresh = Sender.objects.select_for_update().filter(pk=sender.pk, version=sender.version).first()
    waiting = Message.objects.filter(from_addr=sender.address, kind="gap", state=MessageState.UNFILLED)
    if fresh is None or waiting.exists():
        return []
    return [_filler(fresh, nonce, head=head) for nonce in gaps]


def _filler(sender: Sender, nonce: int, *, head: Head) -> str:
    """Push the transfer that will take one gap."""
    name = f"gap:{sender.address}:{nonce}:{head.height}"
    row, _ = Message.objects.get_or_create(
        pk=name,
        defaults={
            "push_id": name,
            "kind": "gap",
            "pushed_by": "system",
            "pushed_height": head.height,
            "priority": Priority.GAP,
            "to": sender.address,
            "from_addr": sender.address,
            "method": transfer_method(address_parse(sender.address)),
            "wait": Wait.NEXT_HEAD,
            "tenant": _tenant_of(sender),
        },
    )
    return row.pk


def _tenant_of(sender: Sender) -> Tenant | None:
    """Return the tenant of the sender's newest message: its key signs the gap filler."""
    newest = Message.objects.filter(from_addr=sender.address, state=MessageState.FILLED).first()
    return None if newest is None else newest.tenant
