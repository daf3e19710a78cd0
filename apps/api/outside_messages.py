"""Pushing messages of other programs: those that would do the pool's own work twice are refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from apps.chain.selectors.heads import head_current
from apps.core.errors import DomainError
from apps.core.marked_texts import gettext
from apps.messages.errors import BadMessage
from apps.messages.rules.push_items import PushItem
from apps.messages.services.push import messages_push_batch
from apps.miners.selectors.miners import miners_of_addresses
from apps.users.rules.principals import Principal
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.address import Address

if TYPE_CHECKING:
    from apps.messages.models import Message


def outside_messages_push(requests: Sequence[tuple[Principal, PushItem]]) -> list[Message | DomainError]:
    """Accept messages of any callers, as `messages_push_batch`; each gets its row or its own refusal."""
    refused = window_refusals([(viewer, item.to, item.method) for viewer, item in requests])
    pushed = iter(messages_push_batch([one for at, one in enumerate(requests) if at not in refused]))
    return [refused[at] if at in refused else next(pushed) for at in range(len(requests))]


def outside_message_push(item: PushItem, *, principal: Principal) -> Message:
    """Accept one message.  Raises its refusal, see `messages_push`."""
    found = outside_messages_push([(principal, item)])[0]
    if isinstance(found, DomainError):
        raise found
    return found


def window_refusals(calls: Sequence[tuple[Principal, Address | str, int]]) -> dict[int, BadMessage]:
    """Return the refusals of proofs of windows that the pool proves, by their index in `calls`.

    A call is its caller, receiver and method.  Two programs that prove one miner pay for each window twice,
    and declare each other's recoveries.
    """
    proofs = [
        (at, viewer, str(to))
        for at, (viewer, to, method) in enumerate(calls)
        if method == Method.SUBMIT_WINDOWED_POST
    ]
    if not proofs:
        return {}
    head = head_current()
    height = 0 if head is None else head.height
    miners = miners_of_addresses({to for _, _, to in proofs})
    refused: dict[int, BadMessage] = {}
    for at, viewer, to in proofs:
        miner = miners.get(to)
        is_seen = miner is not None and (viewer.is_operator or miner.tenant_id == viewer.own_id)
        if miner is not None and is_seen and miner.works_at(height):
            text = gettext(
                "the pool proves the windows of {miner}: turn off WindowPoSt in the program that sent this, "
                "or move the miner out of the pool"
            )
            refused[at] = BadMessage(text.format(miner=miner.address), field="method")
    return refused
