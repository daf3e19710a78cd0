"""What a head makes due for messages: track, choose, publish.  Each is safe to run twice."""

from __future__ import annotations

import structlog
from celery import current_app, shared_task

from apps.chain.client import chain_client
from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.selectors import head_current
from apps.core import clock
from apps.messages.services.holes import holes_close
from apps.messages.services.hurry import proofs_hurry
from apps.messages.services.publish import messages_publish, messages_republish
from apps.messages.services.push import selection_ask
from apps.messages.services.select import messages_expire, sender_select, senders_due
from apps.messages.services.track import messages_track

log = structlog.get_logger(__name__)

SELECT_EXPIRES_S = 30
"""A selection that waited longer is dropped: the next head asks again."""


@shared_task(name="messages.track")
def track(height: int, key: str) -> None:
    """Write what landed, was taken back, or lost its nonce."""
    head = head_current()
    if head is None:
        return
    try:
        done = messages_track(head=head, client=chain_client(), now=clock.now())
    except (NodeUnavailable, NodeRefused) as error:
        log.warning("track_failed", height=height, key=key[:20], reason=error.reason[:300])
        return
    if done.landed or done.reverted or done.displaced or done.has_searched:
        log.info("tracked", height=head.height, landed=done.landed, reverted=done.reverted)


@shared_task(name="messages.select")
def select(height: int, key: str) -> None:
    """Give up what expired, publish again what a node lacks, and have each waiting sender chosen for."""
    head = head_current()
    if head is None:
        return
    now = clock.now()
    messages_expire(head=head, now=now)
    try:
        messages_republish(now=now)
        holes_close(client=chain_client(), head=head)
        proofs_hurry(client=chain_client(), head=head, now=now)
    except (NodeUnavailable, NodeRefused) as error:
        log.warning("republish_failed", height=height, key=key[:20], reason=error.reason[:300])
    for address in senders_due(head=head):
        current_app.send_task(
            "messages.select_sender",
            kwargs={"address": address},
            queue="messages",
            expires=SELECT_EXPIRES_S,
        )


@shared_task(name="messages.select_sender")
def select_sender(address: str) -> None:
    """Choose one sender's messages on the newest head and publish them."""
    head = head_current()
    if head is None:
        return
    try:
        done = sender_select(address=address, head=head, client=chain_client(), now=clock.now())
        if done.filled:
            messages_publish(done.filled, now=clock.now())
        if done.has_more:
            selection_ask(address)
    except (NodeUnavailable, NodeRefused) as error:
        log.warning("selection_failed", sender=address, reason=error.reason[:300])
        return
    if done.filled:
        log.info("selected", sender=address, messages=len(done.filled), height=head.height)
