"""Putting messages back into flight whose executing tipset left the chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apps.messages.models import Message, Sender
from apps.messages.services.bulk_transitions import NOT_LANDED, message_changes_publish, messages_advance
from apps.messages.services.selection import chain_nonces_rewind
from apps.messages.services.spend import SUBTRACTED, spend_record
from apps.messages.states import MessageState
from apps.wallets.services.refresh import moved_wallets_mark

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


def landings_revert(keys: Sequence[str], *, now: datetime) -> int:
    """Put messages whose executing tipset left the chain back into flight.

    Where two rows hold one nonce (a message given up that landed all the same, and the one that filled
    its gap; or one that got it since), the one that was displaced stays so: only one can be in flight.
    """
    if not keys:
        return 0
    rows = list(
        Message.objects.select_for_update()
        .filter(executed_key__in=list(keys), state__in=[MessageState.LANDED, MessageState.REPLACED])
        .exclude(executed_key="")
        .order_by("state", "created_at", "pk")
    )
    back: list[Message] = []
    holders = _holders(rows)
    for row in rows:  # those that landed come first
        if row.state == MessageState.LANDED or (row.from_addr, row.nonce) not in holders:
            holders.add((row.from_addr, row.nonce))
            back.append(row)
    # A sender may be deleted since; without its row the message would never land again.
    addresses = {row.from_addr for row in back}
    Sender.objects.bulk_create([Sender(address=one) for one in addresses], ignore_conflicts=True)
    spend_record([row.pk for row in back], sign=SUBTRACTED)
    chain_nonces_rewind((row.from_addr, row.nonce or 0) for row in rows)
    moved_wallets_mark({one for row in rows for one in (row.from_addr, row.to)}, at=now)
    moved = messages_advance("REVERT", rows=dict.fromkeys((row.pk for row in back), NOT_LANDED), now=now)
    message_changes_publish(moved)
    return len(moved)


def _holders(rows: Sequence[Message]) -> set[tuple[str, int | None]]:
    """Return the places, sender and nonce, of displaced rows that another row holds by now."""
    places = {(row.from_addr, row.nonce) for row in rows if row.state == MessageState.REPLACED}
    holders = Message.objects.filter(
        state__in=[MessageState.FILLED, MessageState.LANDED],
        from_addr__in={address for address, _ in places},
        nonce__in={nonce for _, nonce in places},
    ).exclude(pk__in=[row.pk for row in rows])
    return places & set(holders.values_list("from_addr", "nonce"))
