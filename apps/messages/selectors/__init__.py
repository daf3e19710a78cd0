"""Reading messages and senders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Subquery

from apps.chain.models import Follower
from apps.messages.errors import MessageNotFound, SenderNotFound
from apps.messages.models import Message, MessageEvent, Sender
from apps.messages.states import MessageState
from apps.users.selectors import signers_of
from poolsite.filecoin.address import BadAddress, address_format, address_parse

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from apps.users.principals import Principal


def messages_visible(viewer: Principal) -> QuerySet[Message]:
    """Give the messages that the viewer may see, newest first: an operator all, a tenant its own."""
    rows = Message.objects.select_related("tenant").order_by("-created_at", "-pk")
    return rows if viewer.is_operator else rows.filter(tenant=viewer.own_id)


def message_get(viewer: Principal, id: str) -> Message:  # the messager's word for it
    """Give one message.  Raises MessageNotFound for a stranger's too."""
    row = messages_visible(viewer).filter(pk=id).first()
    if row is None:
        raise MessageNotFound("record not found", field="id")
    return row


def messages_by_ids(ids: Collection[str]) -> dict[str, Message]:
    """Give messages by id for the apps that pushed them; unknown ids are left out."""
    return Message.objects.in_bulk(list(ids))


def messages_seen(asked: Sequence[tuple[Principal, str]]) -> list[tuple[Message, int] | None]:
    """Give what each of many callers asks for with one query; None where that is not its own to see.

    Beside each message stands the height of the newest head, 0 before the first one.
    """
    head = Subquery(Follower.objects.values("head__height")[:1])
    found = Message.objects.select_related("tenant").annotate(head_height=head)
    rows = found.in_bulk([id_ for _, id_ in asked])
    return [
        (row, row.head_height or 0)
        if (row := rows.get(id_)) is not None and (viewer.is_operator or row.tenant_id == viewer.own_id)
        else None
        for viewer, id_ in asked
    ]


def message_events(message: Message) -> list[MessageEvent]:
    """Give the timeline beside the times in the row itself."""
    return list(message.events.all())


def messages_page(
    viewer: Principal,
    *,
    states: Collection[str] = (),
    senders: Collection[str] = (),
    kind: str = "",
    before: tuple[datetime, str] | None = None,
    limit: int = 50,
) -> list[Message]:
    """Give one page, newest first; `before` is creation time and id of the last row of the page above."""
    rows = messages_visible(viewer)
    if states:
        rows = rows.filter(state__in=list(states))
    if senders:
        rows = rows.filter(from_addr__in=list(senders))
    if kind:
        rows = rows.filter(kind=kind)
    if before is not None:
        moment, pk = before
        # The first condition lets the index stop the scan; the exclusion settles equal times.
        rows = rows.filter(created_at__lte=moment).exclude(created_at=moment, pk__gte=pk)
    return list(rows[:limit])


def messages_open(viewer: Principal) -> QuerySet[Message]:
    """Give what is neither landed nor given up."""
    return messages_visible(viewer).filter(state__in=[MessageState.UNFILLED, MessageState.FILLED])


def senders_visible(viewer: Principal) -> QuerySet[Sender]:
    """Give the senders that the viewer may use; an operator sees all."""
    rows = Sender.objects.order_by("pk")
    if viewer.is_operator:
        return rows
    # By grants, not by messages: those grow for ever.
    return rows.filter(address__in=signers_of(viewer).values("address"))


def sender_get(viewer: Principal, address: str) -> Sender:
    """Give one sender.  Raises SenderNotFound, also for what is no address."""
    try:
        address = address_format(address_parse(address))
    except BadAddress:
        raise SenderNotFound("record not found", field="address") from None
    row = senders_visible(viewer).filter(address=address).first()
    if row is None:
        raise SenderNotFound("record not found", field="address")
    return row
