"""Miners that tenants' own programs created, as `lotus-miner init` does."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db.models import QuerySet

from apps.messages.models import Message
from apps.messages.states import MessageState
from poolsite.filecoin.actors.power import CreateMinerReturn, Method
from poolsite.filecoin.address import POWER_ACTOR
from poolsite.filecoin.codec import from_cbor

CREATION_METHODS: Final = (Method.CREATE_MINER, Method.CREATE_MINER_EXPORTED)


def creations_since(messages: QuerySet[Message], since: datetime) -> QuerySet[Message]:
    """Restrict messages to those of other programs that have created a miner, pushed after a time."""
    created = messages.filter(to=str(POWER_ACTOR), created_at__gt=since, method__in=CREATION_METHODS)
    return created.filter(kind="", state=MessageState.LANDED, exit_code=0)


def created_id(message: Message) -> int:
    """Return the actor ID of the miner that a message has created."""
    return from_cbor(CreateMinerReturn, message.return_).id_address.actor_id
