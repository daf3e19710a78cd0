"""Keys that are kept offline, and the messages that wait for signatures made with them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Count, F, Q, QuerySet

from apps.core.errors import NotFound
from apps.core.marked_texts import gettext
from apps.messages.models import Message, Sender
from apps.messages.selectors.messages import messages_visible
from apps.messages.states import EXPORT_WITHIN, MessageState
from apps.users.rules.principals import Principal
from apps.wallets.selectors import wallets_visible
from poolsite.filecoin.address import BadAddress, address_parse

WAITING: Final = Q(state=MessageState.UNFILLED, needs_approval=False)
"""Of an offline key: can be exported."""
EXPORTED: Final = Q(state=MessageState.FILLED, signed=b"", exported_at__isnull=False)
LISTED_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class OfflineKey:
    """One key, and what the viewer sees of its messages."""

    address: str
    label: str
    waiting: int
    """Messages that can be exported."""
    exported: int
    expired: int
    """Exported messages older than `EXPORT_WITHIN`."""


def offline_keys(viewer: Principal, *, now: datetime) -> list[OfflineKey]:
    """Return the offline keys among a viewer's wallets."""
    offline = set(Sender.objects.filter(is_offline=True).values_list("address", flat=True))
    wallets = list(wallets_visible(viewer).filter(address__in=offline))
    counted = (
        messages_visible(viewer)
        .filter(from_addr__in=[row.address for row in wallets])
        .select_related(None)
        .order_by()
        .values_list("from_addr")
        .annotate(
            waiting=Count("pk", filter=WAITING),
            exported=Count("pk", filter=EXPORTED),
            expired=Count("pk", filter=EXPORTED & Q(exported_at__lt=now - EXPORT_WITHIN)),
        )
    )
    found = {address: rest for address, *rest in counted}
    return [
        OfflineKey(str(row.address), row.label, *found.get(str(row.address), (0, 0, 0))) for row in wallets
    ]


def offline_messages(viewer: Principal, addresses: Iterable[str]) -> list[Message]:
    """Return what keys send that waits for an export or for a signature, those with a nonce first."""
    rows = messages_visible(viewer).filter(from_addr__in=list(addresses))
    rows = rows.filter(WAITING | EXPORTED)
    return list(rows.order_by("from_addr", F("nonce").asc(nulls_last=True), "created_at")[:LISTED_MAX])


def messages_waiting(viewer: Principal, address: str) -> QuerySet[Message]:
    """Return a viewer's messages of a key that can be exported, the oldest first."""
    return messages_visible(viewer).filter(WAITING, from_addr=address).order_by("created_at")


def offline_key_require(viewer: Principal, address: str) -> None:
    """Refuse a key that is none of the viewer's, or that a signer holds, and what is no address.

    Raises NotFound.
    """
    try:
        is_offline = Sender.objects.filter(address=address_parse(address), is_offline=True).exists()
    except BadAddress:
        is_offline = False
    if not is_offline or not wallets_visible(viewer).filter(address=address).exists():
        raise NotFound(gettext("{address} is not kept offline").format(address=address[:100]))


def messages_exported(viewer: Principal, address: str) -> QuerySet[Message]:
    """Return a viewer's messages of a key that wait for signatures made offline, by nonce."""
    return messages_visible(viewer).filter(EXPORTED, from_addr=address).order_by("nonce")
