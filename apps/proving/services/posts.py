"""WindowPoSt from the challenge to the landed message, for each window of each miner."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from apps.chain.apart import each_apart
from apps.core.transitions import advance
from apps.messages.selectors import messages_by_ids
from apps.messages.selectors.tracking import tracked_height
from apps.messages.services.drop import message_drop
from apps.messages.states import MessageState
from apps.proving.models import WindowPost
from apps.proving.services.changes import post_set, post_tell
from apps.proving.services.jobs import job_drop, job_strip, lease_for
from apps.proving.services.proofs import PROOFS_MAX, post_prove
from apps.proving.services.submissions import is_outdated, message_follow, post_submit
from apps.proving.services.windows import challenge_draw
from apps.proving.states import OPEN_POSTS, PostState

if TYPE_CHECKING:
    from apps.messages.models import Message
    from apps.proving.services.look import Look

log = structlog.get_logger(__name__)


def posts_advance(look: Look) -> None:
    """Move every proof whose window has not closed, one after the other; a failing one stops no other."""
    posts = WindowPost.objects.filter(state__in=[*OPEN_POSTS, PostState.NOTHING]).select_related(
        "miner__tenant", "job__miner"
    )
    landed = WindowPost.objects.filter(
        state=PostState.LANDED, landed_height__gte=look.head.height - look.network.chain_finality
    ).select_related("miner__tenant", "job__miner")
    rows = [*posts.order_by("close_epoch", "pk"), *landed]
    messages = messages_by_ids([post.message_id for post in rows if post.message_id])
    each_apart(
        rows, lambda post: post_move(post, messages.get(post.message_id), look), event="post_not_moved"
    )


def post_move(post: WindowPost, message: Message | None, look: Look) -> None:
    """Take the next step of one proof.  Raises NodeUnavailable, NodeRefused, LostRace."""
    if post.state == PostState.LANDED:
        if message is not None and message.state == MessageState.FILLED:
            advance(post, "REVERT", landed_height=None, exit_code=None, updated_at=look.now)
            post_tell(post)
        return
    if post.state == PostState.SENT and message is not None and message_follow(post, message, look):
        return
    if look.head.height >= post.close_epoch:
        if not _may_have_landed(post, message):
            _close(post, look)
        return
    _rescue(post, message, look)
    if post.state in (PostState.PROVING, PostState.PROVED) and _is_reorganised(post, look):
        return
    if post.state == PostState.PROVING:
        post_prove(post, look)
    if post.state == PostState.PROVED:
        post_submit(post, look)


def _close(post: WindowPost, look: Look) -> None:
    job_drop(post.job, now=look.now)
    advance(post, "CLOSE", updated_at=look.now)
    job_strip(post.job)
    log.warning("window_missed", miner=post.miner.address, deadline=post.deadline_index, reason=post.error)
    post_tell(post)


def _may_have_landed(post: WindowPost, message: Message | None) -> bool:
    """Tell whether the message is in flight and nobody has yet looked at the window's last blocks."""
    is_out = post.state == PostState.SENT and message is not None and message.state == MessageState.FILLED
    return is_out and tracked_height() < post.close_epoch


def _rescue(post: WindowPost, message: Message | None, look: Look) -> None:
    """Set back what cannot go on as it is while there is time left in the window."""
    if post.state == PostState.SENT and message is not None and _is_givers(post, message):
        message_drop(message, reason="the miner was handed over", now=look.now)
        advance(post, "RESEND", error="the miner was handed over", updated_at=look.now)
    if post.state == PostState.SENT and message is not None and is_outdated(post, message, look):
        message_drop(message, reason="the chain's randomness is another now", now=look.now)
        advance(post, "RESEND", error="the chain's randomness has changed", updated_at=look.now)
    if post.state == PostState.NOTHING and post.proofs_made < PROOFS_MAX:
        # A store that was away may be back in time: the files are looked at again.
        pause = timedelta(seconds=lease_for(look.network.proving.window * look.network.epoch_s))
        if look.now - post.updated_at >= pause:
            advance(post, "AGAIN", skipped={}, job=None, updated_at=look.now)


def _is_givers(post: WindowPost, message: Message) -> bool:
    """Tell whether a message without a nonce waits for a tenant that no longer has the miner.

    It was to be chosen on the head that was there: what holds it up, signer or funds, is that tenant's.
    """
    return message.state == MessageState.UNFILLED and message.tenant_id != post.miner.tenant_id


def _is_reorganised(post: WindowPost, look: Look) -> bool:
    """Start again if the chain's challenge is another one than the proof answers."""
    randomness = challenge_draw(post.miner, post.challenge_epoch, look)
    if randomness == bytes(post.randomness):
        return False
    job_drop(post.job, now=look.now)
    job_strip(post.job)
    if post.state == PostState.PROVED:
        advance(post, "AGAIN", updated_at=look.now)
    post_set(post, randomness=randomness, job=None, proof=None, error="the chain's challenge has changed")
    return True
