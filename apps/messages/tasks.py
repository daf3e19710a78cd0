"""What a head makes due for messages: track, choose, publish.  Each is safe to run twice."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from datetime import timedelta
from functools import partial

import structlog
from celery import current_app, shared_task
from django.conf import settings
from django.db.models import Count, Min, Q

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.models import Head
from apps.chain.node.client import chain_client
from apps.chain.node.isolation import for_each_isolated
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.read_cache import chain_read_once
from apps.core import clock
from apps.core.locks import single_flight
from apps.messages.models import Message
from apps.messages.selectors.recovery import recovery_now
from apps.messages.services.approvals import approvals_expire
from apps.messages.services.archive import messages_archive
from apps.messages.services.expire import late_messages_cancel, messages_expire
from apps.messages.services.fee_bump import deadlines_learn, proofs_bump
from apps.messages.services.gaps import gaps_fill
from apps.messages.services.publish import fee_caps_update, messages_publish, messages_republish
from apps.messages.services.recovery.detect import restore_check
from apps.messages.services.recovery.restore import recovery_step
from apps.messages.services.recovery.unrecorded import mempool_snapshot_store
from apps.messages.services.refusals import refusals_explain, unexplained_refusals_list
from apps.messages.services.retry import funded_messages_retry
from apps.messages.services.select import due_senders_list, sender_select
from apps.messages.services.selection_queue import SELECT_EXPIRES_S, selection_enqueue
from apps.messages.services.track import messages_track
from apps.messages.states import MessageState, Wait

log = structlog.get_logger(__name__)

RECOVER_EXPIRES_S = 60
"""Enqueued again with each head."""
MONTH = timedelta(days=31)
EXPLAIN_EXPIRES_S = 60
"""Failures that land meanwhile are explained with the next ones."""


@shared_task(name="messages.archive")
@single_flight
def archive() -> None:
    """Move some of the messages that landed long ago into the archive, if the pool has one."""
    if months := settings.MESSAGES_ARCHIVED_MONTHS:
        messages_archive(until=clock.now() - months * MONTH)


@shared_task(name="messages.track")
def track(height: int, key: str) -> None:
    """Write what landed, was taken back, or lost its nonce."""
    head = head_current()
    if head is None:
        return
    # It only explains refusals later: the next head stores it, and tracking below does not need it.
    with contextlib.suppress(NodeUnavailable, NodeRefused):
        mempool_snapshot_store(client=chain_client(), now=clock.now())
    try:
        done = messages_track(head=head, client=chain_client(), now=clock.now())
    except (NodeUnavailable, NodeRefused) as error:
        log.warning("track_failed", height=height, key=key[:20], reason=error.reason[:300])
        return
    if done.landed or done.reverted or done.displaced or done.has_searched:
        log.info("tracked", height=head.height, landed=done.landed, reverted=done.reverted)
    if (done.landed or done.has_searched) and unexplained_refusals_list(now=clock.now()):
        current_app.send_task("messages.explain", queue="io", retry=False, expires=EXPLAIN_EXPIRES_S)


@shared_task(name="messages.explain")
def explain() -> None:
    """Read what actors said of the messages that landed lately and failed."""
    try:
        refusals_explain(client=chain_client(), now=clock.now())
    except NodeUnavailable as error:
        log.warning("refusals_not_explained", reason=error.reason[:300])


@shared_task(name="messages.recover")
def recover() -> None:
    """Read back some of what was sent since a backup; the rest at once with the next task."""
    try:
        has_more = recovery_step(client=chain_client(), now=clock.now())
    except (NodeUnavailable, NodeRefused) as error:
        log.warning("recovery_step_failed", reason=error.reason[:300])
        return
    if has_more:
        current_app.send_task("messages.recover", queue="io", retry=False, expires=RECOVER_EXPIRES_S)


@shared_task(name="messages.select")
@chain_read_once()
def select(height: int, key: str) -> None:  # noqa: ARG001  # what the follower sends
    """Fail what expired, publish again what a node lacks, and have each waiting sender chosen for."""
    head = head_current()
    if head is None:
        return
    now, client = clock.now(), chain_client()
    has_work = Message.objects.filter(state__in=[MessageState.UNFILLED, MessageState.FILLED]).exists()
    recovery = restore_check(now=now) if has_work else recovery_now()
    if recovery is not None and recovery.since is not None:
        # Not here: reading takes long, and proofs do not wait for it.
        current_app.send_task("messages.recover", queue="io", retry=False, expires=RECOVER_EXPIRES_S)
    if not has_work:
        return  # all that follows is about messages that wait or are in flight
    messages_expire(head=head, now=now)
    approvals_expire(now=now)
    funded_messages_retry(head=head)
    # First, whatever happens below: slow or failing work on what is in flight delays no selection.
    enqueued = _selections_enqueue(head, besides=set())
    steps: tuple[Callable[[], object], ...] = (
        partial(messages_republish, now=now),
        partial(deadlines_learn, client=client, head=head),
        partial(proofs_bump, client=client, head=head, now=now),
        partial(fee_caps_update, head=head, now=now),
        partial(gaps_fill, client=client, head=head),
        partial(late_messages_cancel, client=client, head=head, now=now),  # last: it may wait for a signer
    )
    for_each_isolated(steps, lambda step: step(), event="in_flight_maintenance_failed")
    _selections_enqueue(head, besides=enqueued)


def _selections_enqueue(head: Head, *, besides: set[str]) -> set[str]:
    """Enqueue a selection for each sender that has something due; return all of them."""
    due = set(due_senders_list(head=head))
    for address in _in_turn(due - besides):
        current_app.send_task(
            "messages.select_sender",
            kwargs={"address": address},
            queue="messages",
            expires=SELECT_EXPIRES_S,
        )
    return due


def _in_turn(addresses: Collection[str]) -> list[str]:
    """Order senders: those with proofs first, those whose signer is away last, since each is waited for.

    A choice that waits too long is dropped: behind a hundred signers that are away nobody would be chosen.
    """
    rows = Message.objects.filter(state=MessageState.UNFILLED, from_addr__in=addresses)
    away = Count("pk", filter=Q(wait=Wait.SIGNER_AWAY))
    found = rows.values_list("from_addr").annotate(best=Min("priority"), away=away)
    return [address for address, _, _ in sorted(found, key=lambda row: (row[2] > 0, row[1], row[0]))]


@shared_task(name="messages.select_sender")
@chain_read_once()
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
            selection_enqueue(address)
    except (NodeUnavailable, NodeRefused) as error:
        log.warning("selection_failed", sender=address, reason=error.reason[:300])
        return
    if done.filled:
        log.info("selected", sender=address, messages=len(done.filled), height=head.height)
