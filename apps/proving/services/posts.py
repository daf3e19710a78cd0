"""WindowPoSt from the challenge to the landed message, for each window of each miner."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import structlog
from django.db import transaction
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext_noop

from apps.chain.node.isolation import for_each_isolated
from apps.core.compiled import Compiled, attach
from apps.core.locks import lock_in_turn, try_lock
from apps.core.prepared_statements import Prepared
from apps.core.transitions import advance
from apps.messages.selectors.messages import messages_by_ids
from apps.messages.selectors.tracking import tracked_height
from apps.messages.states import MessageState
from apps.proving.due import MOVING
from apps.proving.models import ProofAttempt, WindowPost
from apps.proving.selectors.posts import attempts_open
from apps.proving.services.attempts import attempts_cancel
from apps.proving.services.fault_rechecks import faults_recheck
from apps.proving.services.post_updates import post_publish, post_update
from apps.proving.services.proofs import post_prove
from apps.proving.services.retries import is_due, note_record
from apps.proving.services.submissions import (
    NO_PROOF,
    foreign_proof_land,
    is_close_executed,
    is_window_proved,
    message_follow,
    onchain_proof_handle,
    post_submit,
    proven_partitions_read,
    stuck_message_handle,
)
from apps.proving.services.windows import challenge_draw
from apps.proving.states import PostState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.messages.models import Message
    from apps.proving.rules.proving_context import ProvingContext

log = structlog.get_logger(__name__)

POST_LOCK: Final = 0x504F
"""Lock class of one window's proof."""
LOCK_WAIT_S: Final = 5.0
"""Longest wait for a pass that moves the same proofs; the next head follows."""
VERSION: Final = RawSQL("proving_windowpost.xmin::text", [])
"""Another one after each change of the row."""
ENDED: Final = (PostState.LANDED, PostState.MISSED)
POSTS: Final[Compiled[WindowPost]] = Compiled(
    "posts_read",
    lambda keys: (
        WindowPost.objects.filter(pk__any=keys)
        .select_related("miner__tenant")
        .annotate(version=VERSION)
        .order_by("close_epoch", "pk")
    ),
    keys="bigint[]",
)
ATTEMPTS: Final[Compiled[ProofAttempt]] = Compiled(
    "posts_attempts",
    lambda posts: attempts_open("job__miner", "job__worker").filter(post_id__any=posts),
    posts="bigint[]",
)
VERSION_NOW: Final[Compiled[str]] = Compiled(
    "post_version",
    lambda key: WindowPost.objects.filter(pk=key).order_by().values_list(VERSION, flat=True),
    key="bigint",
)
POSTS_MOVING: Final = Prepared("posts_moving", MOVING, ["bigint", "timestamptz", "bigint"])


def posts_advance(context: ProvingContext) -> None:
    """Move every proof whose window has not closed, one after the other; a failing one stops no other.

    Two passes meet: that of a head, and that of a prover that has just ended.  Each proof is moved by one of
    them at a time; the other goes on with the rest, and reads it again afterwards.
    """
    rows, messages = _posts_to_move(context)
    at_work: list[WindowPost] = []

    def move(post: WindowPost) -> None:
        with try_lock(POST_LOCK, str(post.uuid)) as is_mine:
            if not is_mine:
                at_work.append(post)
            elif _is_as_read(post):
                post_move(post, message=messages.get(post.message_id), context=context)
            else:
                _move_anew(post, context)

    def move_in_turn(post: WindowPost) -> None:
        with lock_in_turn(POST_LOCK, str(post.uuid), wait_s=until - time.monotonic()) as is_mine:
            if is_mine:
                _move_anew(post, context)

    for_each_isolated(rows, move, event="post_not_moved")
    until = time.monotonic() + LOCK_WAIT_S
    for_each_isolated(at_work, move_in_turn, event="post_not_moved")


def _is_as_read(post: WindowPost) -> bool:
    """Return whether nobody has changed a proof's row since it was read."""
    return VERSION_NOW.rows(key=post.pk) == [post.__dict__["version"]]


def _move_anew(post: WindowPost, context: ProvingContext) -> None:
    """Move a proof that another pass may have moved since it was read."""
    rows, messages = _posts_read([post.pk])
    for fresh in rows:
        if fresh.state not in ENDED:
            post_move(fresh, message=messages.get(fresh.message_id), context=context)


def _posts_to_move(context: ProvingContext) -> tuple[list[WindowPost], dict[str, Message]]:
    """Return the proofs that need attention, with all that it takes, and their messages.

    Which they are, a narrow question tells: to read proofs with their jobs, hosts and miner costs much more,
    and on most heads each one stands where its message does.
    """
    wanted = [pk for (pk,) in POSTS_MOVING.rows([context.head.height, None, context.network.chain_finality])]
    return _posts_read(wanted) if wanted else ([], {})


def _posts_read(keys: Sequence[int]) -> tuple[list[WindowPost], dict[str, Message]]:
    ordered = POSTS.rows(keys=list(keys))
    attach(ordered, "attempts", ATTEMPTS.rows(posts=list(keys)), by="post")
    posts = sorted(ordered, key=lambda post: post.state == PostState.LANDED)
    return posts, messages_by_ids([post.message_id for post in posts if post.message_id])


def post_move(post: WindowPost, *, message: Message | None, context: ProvingContext) -> None:
    """Move one proof on; what fails is tried again in the same pass where it may be.

    Raises NodeUnavailable, NodeRefused, LostRace.
    """
    if post.state == PostState.LANDED:
        _landed_check(post, message, context)
    elif message is not None and (
        post.state == PostState.SENT or (post.state == PostState.MISSED and message.has_succeeded)
    ):
        message_follow(post, message=message, context=context)
    if post.state in ENDED:
        return
    if context.head.height >= post.close_epoch:
        if not _may_have_landed(post, message) and is_close_executed(post, context=context):
            _close(post, message, context)
        return
    sender = ""
    if post.state == PostState.SENT and message is not None:
        sender = stuck_message_handle(post, message=message, context=context)
    _go_on(post, context, sender=sender)


def _go_on(post: WindowPost, context: ProvingContext, *, sender: str) -> None:
    """Prove and send while there is time left in the window."""
    if (
        post.state == PostState.NOTHING
        and is_due(post, context=context)
        and not onchain_proof_handle(post, context=context)
    ):
        # A store that was away may be back in time: the files are checked again.
        advance(post, "AGAIN", skipped={}, updated_at=context.now)
    if post.state in (PostState.PROVING, PostState.PROVED) and _is_reorganised(post, context):
        return
    if post.state == PostState.PROVING:
        post_prove(post, context=context)
    if post.state == PostState.PROVED:
        faults_recheck(post, context=context)
        if post.state == PostState.PROVED:
            post_submit(post, context=context, sender=sender)
        if post.state == PostState.PROVING:  # sectors are back, or the chain has a part of it
            post_prove(post, context=context)


def _landed_check(post: WindowPost, message: Message | None, context: ProvingContext) -> None:
    """Look after a proof that has landed: a reorganisation may have thrown it out, or landed it elsewhere."""
    if message is not None and message.has_succeeded:
        if post.landed_height != message.height:
            post_update(post, landed_height=message.height)
    elif context.head.height >= post.close_epoch:
        is_known = message is not None and is_close_executed(post, context=context)
        if is_known and is_window_proved(post, context=context) is False:
            _revert(post, context)
    elif message is not None and message.state == MessageState.FILLED:
        _revert(post, context)
    elif not proven_partitions_read(post, context=context) >= set(post.partitions):
        reason = gettext_noop("the chain no longer has the proof")
        note_record(post, context=context, text=reason)
        data = {"landed_height": None, "exit_code": None, "error": reason, "updated_at": context.now}
        advance(post, "AGAIN", **data, **NO_PROOF)
        post_publish(post)


def _revert(post: WindowPost, context: ProvingContext) -> None:
    advance(post, "REVERT", landed_height=None, exit_code=None, updated_at=context.now)
    post_publish(post)


def _close(post: WindowPost, message: Message | None, context: ProvingContext) -> None:
    """Note that the window went without a proof, unless somebody else's is on the chain.

    A proof that was made and not sent was missed for what its message waited for.
    """
    if is_window_proved(post, context=context):
        foreign_proof_land(post, height=post.close_epoch - 1, context=context)
        return
    with transaction.atomic():
        note_record(post, context=context, text="the window closed without a proof")
        error = message.error if message is not None and message.error else post.error
        advance(post, "CLOSE", error=error, updated_at=context.now)
        attempts_cancel(post, context=context)
    log.warning("window_missed", miner=post.miner.address, deadline=post.deadline_index, reason=post.error)
    post_publish(post)


def _may_have_landed(post: WindowPost, message: Message | None) -> bool:
    """Return whether the message is in flight and the window's last blocks are not read yet."""
    is_out = post.state == PostState.SENT and message is not None and message.state == MessageState.FILLED
    return is_out and tracked_height() < post.close_epoch


def _is_reorganised(post: WindowPost, context: ProvingContext) -> bool:
    """Start again if the chain's challenge is another one than the proof answers."""
    randomness = challenge_draw(post.miner, epoch=post.challenge_epoch, context=context)
    if randomness == bytes(post.randomness):
        return False
    reason = gettext_noop("the chain's challenge has changed")
    with transaction.atomic():
        note_record(post, context=context, text=reason)
        if post.state == PostState.PROVED:
            advance(post, "AGAIN", updated_at=context.now)
        post_update(post, randomness=randomness, error=reason, tries=0, try_epoch=None, **NO_PROOF)
        attempts_cancel(post, context=context)
    return True
