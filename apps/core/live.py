"""Telling open pages that a row changed: after commit, one small event to the watchers of its tenant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.conf import settings
from django.db import transaction
from redis.exceptions import RedisError

from apps.core.stores import redis_client

if TYPE_CHECKING:
    from channels.layers import BaseChannelLayer

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Change:
    """A row that pages may show, by its kind in the dashboard's fragment table."""

    kind: str
    pk: int | str
    tenant: int | str | None
    """Whose pages hear of it besides the operator's; None for facts of all, such as a new head."""


POOL: Final = "live.pool"
"""The operator's pages: they hear of every change."""

EVERYONE: Final = "live.everyone"
"""All tenants' pages, for what belongs to nobody."""


OPERATOR: Final = "pool"
"""In a tenant's place: the change is for the operator's pages alone."""


def group_of(tenant: int | str | None) -> str:
    """Give the group in which a tenant's pages listen."""
    return EVERYONE if tenant is None else f"live.{tenant}"


def publish(change: Change) -> None:
    """Send `change` once the running transaction has committed; at once if there is none.

    A page that misses it fetches its regions again when the layer is back, so losing one is no error.
    """
    transaction.on_commit(lambda: change_send(change))


def change_send(change: Change) -> None:
    """Hand the event to the channel layer.  Without Redis the commit stands and only the push is lost."""
    layer = get_channel_layer()
    if layer is None:
        return
    event = {"type": "live.change", "kind": change.kind, "pk": change.pk}
    groups = tuple(dict.fromkeys((POOL, group_of(change.tenant))))
    try:
        if isinstance(layer, RedisPubSubChannelLayer):
            event_publish(layer, groups, event)
        else:
            async_to_sync(event_spread)(layer, groups, event)
    except (RedisError, OSError) as error:
        log.warning("live_push_lost", kind=change.kind, pk=change.pk, reason=str(error))


def event_publish(layer: RedisPubSubChannelLayer, groups: tuple[str, ...], event: dict[str, Any]) -> None:
    """Do what the layer's `group_send` does, over this process's own connection.

    Calling that from a thread costs an event loop and a connection each time: 2.6 ms instead of 0.1.
    """
    layers: dict[str, Any] = settings.CHANNEL_LAYERS
    prefix = layers["default"]["CONFIG"]["prefix"]
    message = layer.serialize(event)
    with redis_client().pipeline(transaction=False) as pipe:
        for group in groups:
            pipe.publish(f"{prefix}__group__{group}", message)
        pipe.execute()


async def event_spread(layer: BaseChannelLayer, groups: tuple[str, ...], event: dict[str, Any]) -> None:
    """Send one event to each group of any other layer."""
    for group in groups:
        await layer.group_send(group, event)
