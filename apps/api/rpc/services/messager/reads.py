"""`Message.*`: one message, waiting for it, and lists.

Source: filecoin-project/venus venus-shared/api/messager/api.go; texts of sophon-messager.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from apps.api.rpc.batching import RequestBatcher
from apps.api.rpc.dispatcher import Call
from apps.api.rpc.services.messager.access import (
    head_height,
    message_missing,
    rows_json,
    signer_check,
)
from apps.api.rpc.services.messager.answers import message_json
from apps.api.rpc.services.messager.parameters import OFFSET_MAX, Query, address_or_none
from apps.api.rpc.services.messager.waits import message_wait
from apps.core import clock
from apps.core.errors import DomainError
from apps.messages.errors import MessageNotFound
from apps.messages.selectors.messages import message_get, messages_visible
from apps.messages.selectors.seen_messages import messages_seen
from apps.messages.states import STATES_BY_CODE, MessageState
from apps.users.rules.principals import Principal
from poolsite.filecoin.address import Address, address_format
from poolsite.filecoin.cids import Cid

if TYPE_CHECKING:
    from apps.messages.models import Message

ROWS_MAX: Final = 10_000
"""Most rows of one listing: its callers page through more with Offset."""


def has_message_by_uid(call: Call, id_: str) -> bool:
    """Return whether the caller has a message of this id."""
    try:
        return bool(message_get(call.principal, id_))
    except MessageNotFound:
        return False


def _found(row: Message | None, what: str) -> dict[str, Any]:
    if row is None:
        raise MessageNotFound(f"get message by {what} error: record not found")
    return message_json(row, head_height=head_height())


def reads_answer(requests: Sequence[tuple[Principal, str]]) -> list[dict[str, Any] | DomainError]:
    """Return messages by their ids with one query; each that is not its caller's is refused by itself."""
    return [
        message_missing(found)
        if isinstance(found, DomainError)
        else message_json(found[0], head_height=found[1])
        for found in messages_seen(requests)
    ]


_READS: RequestBatcher[str, dict[str, Any]] = RequestBatcher(reads_answer)


async def get_message_by_uid(call: Call, id_: str) -> dict[str, Any]:
    """Return a message by its id; calls in flight share one query."""
    return await _READS.submit(id_, principal=call.principal)


def get_message_by_signed_cid(call: Call, cid: Cid) -> dict[str, Any]:
    """Return a message by the CID it has on chain."""
    return _found(messages_visible(call.principal).filter(cid=str(cid)).first(), "signed cid")


def get_message_by_unsigned_cid(call: Call, cid: Cid) -> dict[str, Any]:
    """Return a message by the CID of its unsigned form."""
    return _found(messages_visible(call.principal).filter(unsigned_cid=str(cid)).first(), "unsigned cid")


def get_message_by_from_and_nonce(call: Call, from_: Address, nonce: int) -> dict[str, Any]:
    """Return the message that holds a nonce; one in flight or landed before those that lost it."""
    rows = messages_visible(call.principal).filter(from_addr=signer_check(call, from_), nonce=nonce)
    found = sorted(rows[:10], key=lambda row: row.state not in (MessageState.FILLED, MessageState.LANDED))
    return _found(found[0] if found else None, "from and nonce")


async def wait_message(call: Call, id_: str, confidence: int) -> dict[str, Any]:
    """Answer when the message has more than `confidence` heads above it, or was given up."""
    key = await message_wait(viewer=call.principal, id=id_, confidence=confidence)
    return await _READS.submit(key, principal=call.principal)


def list_message(call: Call, query: Query) -> list[dict[str, Any]] | None:
    """List by state, sender and time of change; newest change first, or oldest push first."""
    rows = messages_visible(call.principal)
    if query.senders:
        rows = rows.filter(from_addr__in=[signer_check(call, one) for one in query.senders])
    if query.states:
        rows = rows.filter(state__in=query.states)
    if query.since is not None:
        rows = rows.filter(updated_at__gte=query.since)
    rows = rows.order_by("created_at") if query.is_ascending else rows.order_by("-updated_at")
    limit = min(query.limit or ROWS_MAX, ROWS_MAX)
    return rows_json(rows[query.offset : query.offset + limit])


def list_message_by_from_state(
    call: Call, from_: Address, state: int, is_asc: bool, page_index: int, page_size: int, age_ns: int
) -> list[dict[str, Any]]:
    """List one state, page by page; only what is older than `age_ns` if that is set."""
    rows = messages_visible(call.principal).filter(state=STATES_BY_CODE.get(state, ""))
    if address_or_none(from_) is not None:
        rows = rows.filter(from_addr=address_format(from_))
    if age_ns:
        rows = rows.filter(created_at__lt=clock.now() - timedelta(microseconds=age_ns // 1000))
    size = min(max(page_size, 0) or ROWS_MAX, ROWS_MAX)
    start = min(max(page_index - 1, 0) * size, OFFSET_MAX)
    ordered = rows.order_by("created_at" if is_asc else "-created_at")
    return rows_json(ordered[start : start + size])


def list_message_by_address(call: Call, address: Address) -> list[dict[str, Any]]:
    """List everything from one address."""
    rows = messages_visible(call.principal).filter(from_addr=address_format(address))
    return rows_json(rows.order_by("-updated_at")[:ROWS_MAX])


def list_failed_message(call: Call) -> list[dict[str, Any]]:
    """List what waits with an error."""
    rows = messages_visible(call.principal).filter(state=MessageState.UNFILLED).exclude(error="")
    return rows_json(rows.order_by("created_at")[:ROWS_MAX])


def list_blocked_message(call: Call, address: Address, age_ns: int) -> list[dict[str, Any]]:
    """List what has been in progress for longer than `age_ns`, from one address or from all."""
    rows = messages_visible(call.principal).filter(
        state__in=[MessageState.UNFILLED, MessageState.FILLED],
        created_at__lt=clock.now() - timedelta(microseconds=age_ns // 1000),
    )
    if address_or_none(address) is not None:
        rows = rows.filter(from_addr=signer_check(call, address))
    return rows_json(rows.order_by("-updated_at", "created_at")[:ROWS_MAX])
