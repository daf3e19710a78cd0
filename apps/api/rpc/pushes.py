"""Pushes that arrive together are stored with one insert."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apps.api.rpc.batching import LoopBatchers
from apps.messages.services import PushItem, messages_push_batch

if TYPE_CHECKING:
    from apps.core.errors import DomainError
    from apps.messages.models import Message
    from apps.users.principals import Principal


def _store(asked: list[tuple[Principal, PushItem]]) -> list[Message | DomainError]:
    return messages_push_batch(asked)


_DESKS: LoopBatchers[PushItem, Message] = LoopBatchers(_store)


async def message_push_batched(item: PushItem, *, principal: Principal) -> Message:
    """Store a message together with those that arrive at the same time.  Raises its own refusal."""
    return await _DESKS.ask(item, principal=principal)
