"""Pushes that arrive together are stored with one insert."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apps.api.rpc.desks import Desks
from apps.messages.services import PushItem, pushes_take

if TYPE_CHECKING:
    from apps.core.errors import DomainError
    from apps.messages.models import Message
    from apps.users.principals import Principal


def _store(asked: list[tuple[Principal, PushItem]]) -> list[Message | DomainError]:
    return pushes_take(asked)


_DESKS: Desks[PushItem, Message] = Desks(_store)


async def message_push_gathered(item: PushItem, *, principal: Principal) -> Message:
    """Store a message together with those that arrive at the same time.  Raises its own refusal."""
    return await _DESKS.ask(item, principal=principal)
