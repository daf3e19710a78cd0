"""WindowPoSt from the challenge to the landed message, for each window of each miner."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Final

import structlog
from django.db import transaction
from django.db.models.expressions import RawSQL

from apps.chain.node.isolation import failure_log, for_each_isolated, rows_isolated, together_isolated
from apps.chain.node.parallel import groups_as_answered
from apps.core.compiled import Compiled, attach
from apps.core.locks import lock_in_turn, try_locks
from apps.core.prepared_statements import Prepared
from apps.core.transitions import advance
from apps.messages.models import Message
from apps.messages.selectors.messages import messages_by_ids
from apps.messages.selectors.tracking import tracked_height
from apps.messages.states import MessageState
from apps.miners.models import Miner
from apps.proving.due import MOVING
from apps.proving.models import ProofAttempt, WindowPost
from apps.proving.reasons import CHALLENGE_CHANGED, GONE_FROM_CHAIN, MISSED
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.selectors.posts import attempts_open
from apps.proving.services.attempts import attempts_cancel
from apps.proving.services.fault_rechecks import faults_recheck
from apps.proving.services.post_updates import NOT_MOVED, post_publish, post_update
from apps.proving.services.proofs import posts_prove
from apps.proving.services.read_ahead import post_reader_build, windows_reader_build
from apps.proving.services.retries import is_due, note_record
from apps.proving.services.submissions import (
    NO_PROOF,
    foreign_proof_land,
    is_close_executed,
    is_window_proved,
    message_follow,
    onchain_proof_handle,
    posts_land,
    posts_submit,
    proven_partitions_read,
    stuck_message_handle,
)
from apps.proving.services.windows import challenge_draw, posts_begin, windows_plan
from apps.proving.states import PostState
from poolsite.filecoin.deadlines import DeadlineInfo

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
VERSIONS_NOW: Final[Compiled[tuple[int, str]]] = Compiled(
    "post_versions",
    lambda keys: WindowPost.objects.filter(pk__any=keys).order_by().values_list("pk", VERSION),
    keys="bigint[]",
)
POSTS_MOVING: Final = Prepared(
    "posts_moving",
    "SELECT id, miner_id FROM proving_windowpost"  # noqa: S608  # a constant
    f" WHERE id IN ({MOVING}) AND ($4 IS NULL OR miner_id = ANY($4)) ORDER BY close_epoch, id",
    ["bigint", "timestamptz", "bigint", "bigint[]"],
)
GROUP_MAX: Final = 25
"""Proofs that are moved together at most: they are written in one transaction, and locked as long."""


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """A proof, or the challenged windows of a miner that have none yet, with what they need of the chain."""

    row: WindowPost | Miner
    read: Callable[[], None] | None
    """Fetches what the chain says; asks no database."""
    windows: Sequence[DeadlineInfo] = ()

    def __str__(self) -> str:
        return str(self.row)


def posts_advance(
    context: ProvingContext,
    *,
    windows: Mapping[Miner, Sequence[DeadlineInfo]] | None = None,
    miners: Collection[int] | None = None,
) -> None:
    """Begin the proofs of `windows`, and move every proof whose window has not closed, or those of `miners`.

    The chain is asked for many at the same time, and those that are answered are moved together: one whose
    call hangs, or that fails, stops no other.  Two passes meet: that of a head, and that of a prover that
    has just ended.  Each proof is moved by one of them at a time; the other goes on with the rest, and reads
    it again afterwards.
    """
    works, messages = _posts_to_move(context, miners)
    works += [
        Work(miner, windows_reader_build(miner, windows=opened, context=context), opened)
        for miner, opened in (windows or {}).items()
    ]
    known: list[tuple[Work, Exception | None]]
    known = [(work, None) for work in works if work.read is None]
    groups = [known[at : at + GROUP_MAX] for at in range(0, len(known), GROUP_MAX)]
    answered = groups_as_answered(
        lambda work: work.read and work.read(), [work for work in works if work.read], most=GROUP_MAX
    )
    at_work: list[WindowPost] = []
    for group in chain(groups, answered):
        at_work += _group_move(group, messages=messages, context=context)
    until = time.monotonic() + LOCK_WAIT_S

    def move_in_turn(post: WindowPost) -> None:
        with lock_in_turn(POST_LOCK, str(post.uuid), wait_s=until - time.monotonic()) as is_mine:
            if is_mine:
                rows, found = _unended_read([post.pk])
                posts_move(rows, messages=found, context=context)

    for_each_isolated(at_work, move_in_turn, event=NOT_MOVED)


def _group_move(
    group: Sequence[tuple[Work, Exception | None]],
    *,
    messages: Mapping[str, Message],
    context: ProvingContext,
) -> list[WindowPost]:
    """Begin and move what is known enough of; returns the proofs that another pass has at this moment."""
    posts: list[WindowPost] = []
    challenged: dict[Miner, Sequence[DeadlineInfo]] = {}
    planned: dict[Miner, list[WindowPost]] = {}
    for work, error in group:
        if error is not None:
            failure_log(work, error, event=NOT_MOVED)
        elif isinstance(work.row, WindowPost):
            posts.append(work.row)
        else:
            challenged[work.row] = work.windows

    def plan(miner: Miner) -> None:
        planned[miner] = windows_plan(miner, windows=challenged[miner], context=context)

    def begin(miners: Sequence[Miner]) -> None:
        posts.extend(posts_begin({miner: planned[miner] for miner in miners}))

    for_each_isolated(challenged, plan, event=NOT_MOVED)
    together_isolated(list(planned), begin, event=NOT_MOVED)
    with try_locks(POST_LOCK, [str(post.uuid) for post in posts]) as held:
        mine = [post for post in posts if str(post.uuid) in held]
        # Those that nobody has changed since they were read are moved as they are.
        now = dict(VERSIONS_NOW.rows(keys=[post.pk for post in mine])) if mine else {}
        same = [post for post in mine if post.__dict__.get("version") == now.get(post.pk)]
        rows, found = _unended_read([post.pk for post in mine if post not in same])
        posts_move([*same, *rows], messages={**messages, **found}, context=context)
    return [post for post in posts if str(post.uuid) not in held]


def moving_miners_list(context: ProvingContext) -> list[int]:
    """Return the miners of the proofs that need attention, the most urgent first."""
    return list(dict.fromkeys(miner for _, miner in _moving(context, None)))


def _moving(context: ProvingContext, miners: Collection[int] | None) -> list[tuple[int, int]]:
    among = None if miners is None else list(miners)
    rows = POSTS_MOVING.rows([context.head.height, None, context.network.chain_finality, among])
    return [(pk, miner) for pk, miner in rows]


def _posts_to_move(
    context: ProvingContext, miners: Collection[int] | None
) -> tuple[list[Work], dict[str, Message]]:
    """Return the proofs that need attention, with all that it takes, and their messages.

    Which they are, a narrow question tells: to read proofs with their jobs, hosts and miner costs much more,
    and on most heads each one stands where its message does.
    """
    wanted = [pk for pk, _ in _moving(context, miners)]
    if not wanted:
        return [], {}
    rows, messages = _posts_read(wanted)
    works = [
        Work(post, post_reader_build(post, message=messages.get(post.message_id), context=context))
        for post in rows
    ]
    return works, messages


def _unended_read(keys: Sequence[int]) -> tuple[list[WindowPost], dict[str, Message]]:
    """Read proofs that another pass may have moved; those that it has ended are left out."""
    rows, messages = _posts_read(keys) if keys else ([], {})
    return [post for post in rows if post.state not in ENDED], messages


def _posts_read(keys: Sequence[int]) -> tuple[list[WindowPost], dict[str, Message]]:
    ordered = POSTS.rows(keys=list(keys))
    attach(ordered, "attempts", ATTEMPTS.rows(posts=list(keys)), by="post")
    posts = sorted(ordered, key=lambda post: post.state == PostState.LANDED)
    return posts, messages_by_ids([post.message_id for post in posts if post.message_id])


def posts_move(
    posts: Sequence[WindowPost], *, messages: Mapping[str, Message], context: ProvingContext
) -> None:
    """Move proofs on, those that take the same step together; what fails is tried again where it may be.

    Each is moved as far as it goes; one with which something goes wrong stays where it is.
    """
    landed = [post for post in posts if _has_landed(post, messages.get(post.message_id))]
    together_isolated(landed, partial(posts_land, messages=messages, context=context), event=NOT_MOVED)
    senders: dict[WindowPost, str] = {}

    def follow(post: WindowPost) -> None:
        sender = _follow(post, messages.get(post.message_id), context)
        if sender is not None:
            senders[post] = sender

    for_each_isolated([post for post in posts if post not in landed], follow, event=NOT_MOVED)
    going = list(senders)
    posts_prove([post for post in going if post.state == PostState.PROVING], context=context)
    proved = [post for post in going if post.state == PostState.PROVED]
    checked = rows_isolated(proved, lambda post: faults_recheck(post, context=context), event=NOT_MOVED)
    posts_submit(
        [post for post in checked if post.state == PostState.PROVED], context=context, senders=senders
    )
    # Sectors are back, or the chain has a part of it.
    posts_prove([post for post in checked if post.state == PostState.PROVING], context=context)


def _has_landed(post: WindowPost, message: Message | None) -> bool:
    is_open = post.state in (PostState.SENT, PostState.MISSED)
    return is_open and message is not None and message.has_succeeded


def _follow(post: WindowPost, message: Message | None, context: ProvingContext) -> str | None:
    """See what became of a proof and its message; None if there is nothing to make or to send.

    Returns the address that sends it instead of the chosen one; empty if there is none.
    Raises NodeUnavailable, NodeRefused, LostRace.
    """
    if post.state == PostState.LANDED:
        _landed_check(post, message, context)
    elif message is not None and post.state == PostState.SENT:
        message_follow(post, message=message, context=context)
    if post.state in ENDED:
        return None
    if context.head.height >= post.close_epoch:
        if not _may_have_landed(post, message) and is_close_executed(post, context=context):
            _close(post, message, context)
        return None
    sender = ""
    if post.state == PostState.SENT and message is not None:
        sender = stuck_message_handle(post, message=message, context=context)
    if (
        post.state == PostState.NOTHING
        and is_due(post, context=context)
        and not onchain_proof_handle(post, context=context)
    ):
        # A store that was away may be back in time: the files are checked again.
        advance(post, "AGAIN", skipped={}, updated_at=context.now)
    if post.state not in (PostState.PROVING, PostState.PROVED) or _is_reorganised(post, context):
        return None
    return sender


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
        reason = GONE_FROM_CHAIN()
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
        note_record(post, context=context, text=MISSED())
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
    reason = CHALLENGE_CHANGED()
    with transaction.atomic():
        note_record(post, context=context, text=reason)
        if post.state == PostState.PROVED:
            advance(post, "AGAIN", updated_at=context.now)
        post_update(post, randomness=randomness, error=reason, tries=0, try_epoch=None, **NO_PROOF)
        attempts_cancel(post, context=context)
    return True
