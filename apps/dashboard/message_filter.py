"""The filters of the list of messages: where they are on their way, and what was searched for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Q

from apps.chain.chain_status import network_known
from apps.chain.selectors import head_current
from apps.messages.selectors.stuck import is_stuck
from apps.messages.states import MessageState
from poolsite.filecoin.address import BadAddress, address_parse

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from apps.messages.models import Message


def filtered(rows: QuerySet[Message], *, state: str, q: str) -> QuerySet[Message]:
    """Apply the list's filters."""
    if state == "open":
        rows = rows.filter(state__in=[MessageState.UNFILLED, MessageState.FILLED])
    elif state == "stuck":
        found = is_stuck(head_current(), network_known())
        rows = rows.filter(found, state__in=[MessageState.UNFILLED, MessageState.FILLED])
    elif state == "landed":
        rows = rows.filter(state=MessageState.LANDED)
    elif state == "refused":
        rows = rows.filter(state=MessageState.LANDED).exclude(exit_code=0)
    elif state in ("failed", "replaced"):
        rows = rows.filter(state=state.upper())
    return searched(rows, q) if q else rows


def searched(rows: QuerySet[Message], q: str) -> QuerySet[Message]:
    """Find by nonce, CID, sender's address or id, whichever the words look like."""
    if q.isdecimal():
        return rows.filter(nonce=int(q)) if len(q) < 19 else rows.none()
    if q.startswith("bafy"):
        return rows.filter(cid=q)
    try:
        return rows.filter(from_addr=str(address_parse(q)))
    except BadAddress:
        return rows.filter(Q(push_id=q) | Q(pk=q))
