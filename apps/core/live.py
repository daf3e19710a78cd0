"""Telling open pages that a row changed: after commit, one small event to the watchers of its tenant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

import structlog
from asgiref.sync import async_to_sync
from channels.layers import BaseChannelLayer, get_channel_layer
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.conf import settings
from django.db import transaction
from redis.exceptions import RedisError

from apps.core.redis_clients import redis_client

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


CHANGES_KEY: Final = "poolsite:changes"
"""Redis counts under this key how often changes were sent."""
CHECKS: Final = "checks"
"""Kind of a change of what the checks found; it is read from the rows and is no change of them."""


def changes_number() -> str | None:
    """Return a word that differs after each change that was sent; None while Redis is away.

    What was read after this call is current as long as the word stays the same.
    """
    try:
        return str(redis_client().get(CHANGES_KEY) or 0)
    except (RedisError, OSError):
        return None


OPERATOR: Final = "pool"
"""In a tenant's place: the change is for the operator's pages alone."""


def group_of(tenant: int | str | None) -> str:
    """Return the group in which a tenant's pages listen."""
    return EVERYONE if tenant is None else f"live.{tenant}"


def publish(change: Change) -> None:
    """Send `change` once the running transaction has committed; at once if there is none.

    A page that misses it fetches its regions again when the layer is back, so losing one is no error.
    """
    publish_all((change,))


def publish_all(changes: Sequence[Change]) -> None:
    """Send many changes after the commit, in their order and in one round trip."""
    if changes:
        transaction.on_commit(lambda: _sent(changes))


DEFERRED: Final[ContextVar[list[Change] | None]] = ContextVar("changes_deferred", default=None)


@contextmanager
def changes_deferred() -> Iterator[list[Change]]:
    """Keep what is published here instead of sending it: whoever keeps it sends it later."""
    deferred: list[Change] = []
    token = DEFERRED.set(deferred)
    try:
        yield deferred
    finally:
        DEFERRED.reset(token)


def _sent(changes: Sequence[Change]) -> None:
    deferred = DEFERRED.get()
    if deferred is None:
        changes_send(changes)
    else:
        deferred.extend(changes)


def change_send(change: Change) -> None:
    """Send one event to the channel layer at once."""
    changes_send((change,))


def changes_send(changes: Sequence[Change]) -> None:
    """Send events to the channel layer.  Without Redis the commit stands and only the push is lost."""
    layer = get_channel_layer()
    if layer is None:
        return
    change_events = [
        (change, {"type": "live.change", "kind": change.kind, "pk": change.pk}) for change in changes
    ]
    events = [
        (group, event)
        for change, event in change_events
        for group in dict.fromkeys((POOL, group_of(change.tenant)))
    ]
    try:
        if isinstance(layer, RedisPubSubChannelLayer):
            events_publish(layer, events)
        else:
            async_to_sync(events_spread)(layer, events)
    except (RedisError, OSError) as error:
        first = changes[0]
        log.warning("live_push_lost", kind=first.kind, pk=first.pk, many=len(changes), reason=str(error))


def events_publish(layer: RedisPubSubChannelLayer, events: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Do what the layer's `group_send` does, over this process's own connection.

    Calling that from a thread costs an event loop and a connection each time: 2.6 ms instead of 0.1.
    """
    layers: dict[str, Any] = settings.CHANNEL_LAYERS
    prefix = layers["default"]["CONFIG"]["prefix"]
    with redis_client().pipeline(transaction=False) as pipe:
        if any(event["kind"] != CHECKS for _, event in events):
            # Before the events: a page that gets one must not reuse data read before it.
            pipe.incr(CHANGES_KEY)
        known: dict[str, Any] = {}
        for group, event in events:
            # One event goes to the pool's pages and to its tenant's: serialised once for both.
            if event is not known:
                known, payload = event, layer.serialize(event)
            pipe.publish(f"{prefix}__group__{group}", payload)
        pipe.execute()


async def events_spread(layer: BaseChannelLayer, events: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Send each event to its group of any other layer."""
    for group, event in events:
        await layer.group_send(group, event)
