"""Disputes of our proofs: the chain takes most unverified, and anybody may show later that one is wrong.

Heads are read once they are deep enough that a reorganisation is unlikely, and only while there is a proof
that can still be disputed.  Source: builtin-actors actors/miner/src/lib.rs dispute_windowed_post.
"""

from __future__ import annotations

from typing import Final

import structlog
from django.db import transaction

from apps.chain.models import Head
from apps.core.compiled import Compiled
from apps.core.live import Change, publish
from apps.miners.models import Miner
from apps.miners.selectors.miners import miners_active_now
from apps.proving.models import Dispute, DisputesRead, WindowPost
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.states import PostState
from poolsite.filecoin.actors import miner as miner_actor
from poolsite.filecoin.actors.method import params_read
from poolsite.filecoin.actors.miner_proving import DisputeWindowedPoStParams
from poolsite.filecoin.address import address_format
from poolsite.filecoin.cids import Cid
from poolsite.filecoin.message import Message

log = structlog.get_logger(__name__)

AT_ONCE: Final = 60
"""Heads that one pass reads."""


def disputes_follow(context: ProvingContext) -> int:
    """Read what heads executed since the last pass, and keep disputes against our miners; returns how many.

    Raises NodeUnavailable, NodeRefused.
    """
    deep = context.head.height - context.network.confidences.message
    is_new = False
    cursor = next(iter(CURSOR.rows()), None)
    if cursor is None:
        cursor, is_new = DisputesRead.objects.get_or_create(pk=1, defaults={"height": deep})
    if is_new or not _is_disputable(cursor.height, context):
        DisputesRead.objects.filter(pk=1).update(height=max(deep, cursor.height))
        return 0
    count, miners, read = 0, _miners(), cursor.height
    try:
        for head in HEADS.rows(above=cursor.height, deep=deep):
            count += _head_read(head, miners, context)
            read = head.height
    finally:
        # Once for all of them: a head that is read again brings nothing twice.
        DisputesRead.objects.filter(pk=1, height__lt=read).update(height=read)
    return count


def _is_disputable(height: int, context: ProvingContext) -> bool:
    """Return whether a proof of ours may have been disputed since a height."""
    since = height - context.network.dispute_window
    return bool(DISPUTABLE.rows(since=since))


CURSOR: Final[Compiled[DisputesRead]] = Compiled("disputes_read", lambda: DisputesRead.objects.filter(pk=1))
DISPUTABLE: Final[Compiled[int]] = Compiled(
    "posts_disputable",
    lambda since: (
        WindowPost.objects.filter(state=PostState.LANDED, close_epoch__gt=since)
        .order_by("-close_epoch")
        .values_list("pk", flat=True)[:1]
    ),
    since="bigint",
)
HEADS: Final[Compiled[Head]] = Compiled(
    "disputes_heads",
    lambda above, deep: Head.objects.filter(is_canonical=True, height__gt=above, height__lte=deep).order_by(
        "height"
    )[:AT_ONCE],
    above="bigint",
    deep="bigint",
)


def _miners() -> dict[str, Miner]:
    """Return our miners by each of their addresses."""
    rows = miners_active_now()
    return {str(address): row for row in rows for address in (row.address, row.robust) if address}


def _head_read(head: Head, miners: dict[str, Miner], context: ProvingContext) -> int:
    messages = context.client.chain_get_parent_messages(head.cids[0])
    found = [
        (at, cid, message, miners[address_format(message.to)])
        for at, (cid, message) in enumerate(messages)
        if message.method == miner_actor.Method.DISPUTE_WINDOWED_POST and address_format(message.to) in miners
    ]
    if not found:
        return 0
    receipts = context.client.chain_get_parent_receipts(head.cids[0])
    with transaction.atomic():
        return sum(
            _dispute_store(head, cid, message, miner, receipts[at].exit_code)
            for at, cid, message, miner in found
        )


def _dispute_store(head: Head, cid: Cid, message: Message, miner: Miner, exit_code: int) -> bool:
    try:
        params = params_read(DisputeWindowedPoStParams, message.params)
        index, post_index = params.deadline, params.post_index
    except ValueError:  # it was refused for that
        index, post_index = 0, 0
    _, is_new = Dispute.objects.get_or_create(
        cid=str(cid),
        defaults={
            "miner": miner,
            "deadline_index": min(index, 10**6),
            "post_index": min(post_index, 10**9),
            "from_addr": address_format(message.from_),
            "height": head.height,
            "exit_code": exit_code,
        },
    )
    if is_new:
        log.warning("proof_disputed", miner=miner.address, deadline=index, exit_code=exit_code)
        for row in miner.deadlines.filter(index=index):
            publish(Change("deadline", row.pk, miner.tenant_id))
    return is_new
