"""WindowPoSt from the challenge to the landed message, for each window of each miner."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog
from django.db import IntegrityError, transaction

from apps.chain.apart import each_apart
from apps.core.errors import DomainError
from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.messages.errors import MessageIdTaken
from apps.messages.selectors import messages_by_ids
from apps.messages.selectors.tracking import tracked_height
from apps.messages.services import message_push
from apps.messages.services.drop import message_drop
from apps.messages.states import MessageState, Wait
from apps.miners.onchain import partitions_read
from apps.miners.selectors import miner_principal, sender_choose
from apps.miners.states import Use
from apps.proving.models import WindowPost
from apps.proving.services.jobs import (
    BadProof,
    Window,
    job_drop,
    job_is_lapsed,
    job_make,
    job_strip,
    lease_for,
    proof_check,
    sectors_onchain,
)
from apps.proving.states import OPEN_POSTS, PostState
from apps.sectors.states import JobState
from poolsite.filecoin.actors import miner as miner_actor
from poolsite.filecoin.actors.exitcodes import exit_code_words
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.bitfield import bitfield_from_json, bitfield_of
from poolsite.filecoin.block import PoStProof
from poolsite.filecoin.deadlines import current_deadline
from poolsite.filecoin.randomness import Tag, miner_entropy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from apps.chain.client import ChainClient
    from apps.chain.models import Head
    from apps.messages.models import Message
    from apps.miners.models import Miner
    from apps.miners.onchain import PartitionFacts
    from poolsite.filecoin.deadlines import DeadlineInfo
    from poolsite.filecoin.policy import Network
    from poolsite.wire.jobs import ProvenSector

log = structlog.get_logger(__name__)

PROOFS_MAX: Final = 50
"""Jobs that one window may take; each is cheap against a fault, but a loop must end."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one pass over the proofs works with."""

    client: ChainClient
    network: Network
    head: Head
    now: datetime

    def seconds_until(self, epoch: int) -> int:
        """Give the seconds until an epoch at the network's pace."""
        return (epoch - self.head.height) * self.network.epoch_s


def windows_open(miner: Miner, look: Look) -> list[DeadlineInfo]:
    """Give the miner's windows that are challenged and not closed: the open one, and the next one early."""
    if miner.proving_period_start is None:
        return []
    height, params = look.head.height, look.network.proving
    here = current_deadline(miner.proving_period_start, height, params)
    following = current_deadline(miner.proving_period_start, here.close, params).at(height)
    since = height - look.network.confidences.challenge
    return [window for window in (here, following) if window.challenge <= since]


def posts_schedule(miner: Miner, look: Look) -> int:
    """Make the proofs and jobs of the miner's windows that are challenged; gives how many are new."""
    count = 0
    for window in windows_open(miner, look):
        if WindowPost.objects.filter(
            miner=miner, deadline_index=window.index, open_epoch=window.open
        ).exists():
            continue
        facts = partitions_read(look.client, miner.address, [window.index], look.head.key)[window.index]
        provable = [index for index, part in enumerate(facts) if _to_prove(part, ())]
        most = look.network.posted_partitions_max
        groups = [provable[at : at + most] for at in range(0, len(provable), most)]
        if not groups:
            continue
        randomness = _randomness(miner, window.challenge, look)
        count += _posts_begin(miner, window, groups=groups, randomness=randomness)
    return count


def _posts_begin(
    miner: Miner, window: DeadlineInfo, *, groups: Sequence[list[int]], randomness: bytes
) -> int:
    """Write all proofs of a window, or none: a kill in between would leave partitions that nobody proves.

    The constraint keeps a second task from writing them too.
    """
    try:
        with transaction.atomic():
            posts = [
                WindowPost.objects.create(
                    miner=miner,
                    deadline_index=window.index,
                    open_epoch=window.open,
                    close_epoch=window.close,
                    challenge_epoch=window.challenge,
                    part=part,
                    partitions=group,
                    randomness=randomness,
                )
                for part, group in enumerate(groups)
            ]
    except IntegrityError:
        return 0
    _tell(posts[0])
    return len(posts)


def _randomness(miner: Miner, epoch: int, look: Look) -> bytes:
    return look.client.state_get_randomness_from_beacon(
        Tag.WINDOWED_POST_CHALLENGE_SEED,
        max(epoch, 0),
        entropy=miner_entropy(address_parse(miner.address)),
        key=look.head.key,
    )


def _to_prove(part: PartitionFacts, skipped: Sequence[int]) -> list[int]:
    """Give the sectors of a partition that its proof must cover.

    Source: damocles poster: live - faulty + recovering, without the skipped.
    """
    wanted = (part.live - part.faulty) | (part.live & part.recovering)
    return list(wanted - bitfield_of(skipped))


def proof_order(facts: Sequence[PartitionFacts], *, post: WindowPost) -> tuple[list[int], list[int]]:
    """Give the sector numbers in the proof's order, and the partitions that have any.

    Every sector of a partition has its place; one that is not proved is stood in for by the partition's
    first good one.  Source: specs-actors miner LoadSectorInfosForProof.
    """
    order: list[int] = []
    kept: list[int] = []
    for index in post.partitions:
        if index >= len(facts):
            continue
        good = _to_prove(facts[index], post.skipped.get(str(index), ()))
        if not good:
            continue
        kept.append(index)
        chosen = set(good)
        order += [number if number in chosen else good[0] for number in facts[index].all_sectors]
    return order, kept


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
            _tell(post)
        return
    if post.state == PostState.SENT and message is not None and _follow(post, message, look):
        return
    if look.head.height >= post.close_epoch:
        if not _may_have_landed(post, message):
            _close(post, look)
        return
    _rescue(post, message, look)
    if post.state in (PostState.PROVING, PostState.PROVED) and _is_reorganised(post, look):
        return
    if post.state == PostState.PROVING:
        _prove(post, look)
    if post.state == PostState.PROVED:
        _submit(post, look)


def _tell(post: WindowPost) -> None:
    deadline = post.miner.deadlines.filter(index=post.deadline_index).first()
    if deadline is not None:
        publish(Change("deadline", deadline.pk, post.miner.tenant_id))


def _close(post: WindowPost, look: Look) -> None:
    job_drop(post.job, now=look.now)
    advance(post, "CLOSE", updated_at=look.now)
    job_strip(post.job)
    log.warning("window_missed", miner=post.miner.address, deadline=post.deadline_index, reason=post.error)
    _tell(post)


def _may_have_landed(post: WindowPost, message: Message | None) -> bool:
    """Tell whether the message is in flight and nobody has yet looked at the window's last blocks."""
    is_out = post.state == PostState.SENT and message is not None and message.state == MessageState.FILLED
    return is_out and tracked_height() < post.close_epoch


def _rescue(post: WindowPost, message: Message | None, look: Look) -> None:
    """Set back what cannot go on as it is while there is time left in the window."""
    if post.state == PostState.SENT and message is not None and _is_outdated(post, message, look):
        message_drop(message, reason="the chain's randomness is another now", now=look.now)
        advance(post, "RESEND", error="the chain's randomness has changed", updated_at=look.now)
    if post.state == PostState.NOTHING and post.proofs_made < PROOFS_MAX:
        # A store that was away may be back in time: the files are looked at again.
        pause = timedelta(seconds=lease_for(look.network.proving.window * look.network.epoch_s))
        if look.now - post.updated_at >= pause:
            advance(post, "AGAIN", skipped={}, job=None, updated_at=look.now)


def _is_outdated(post: WindowPost, message: Message, look: Look) -> bool:
    """Tell whether a message without a nonce can never land: it names randomness of another branch."""
    if message.state != MessageState.UNFILLED or message.wait != Wait.ESTIMATE:
        return False
    return submit_params(post, _commit_randomness(post, look)) != bytes(message.params)


def _is_reorganised(post: WindowPost, look: Look) -> bool:
    """Start again if the chain's challenge is another one than the proof answers."""
    randomness = _randomness(post.miner, post.challenge_epoch, look)
    if randomness == bytes(post.randomness):
        return False
    job_drop(post.job, now=look.now)
    job_strip(post.job)
    if post.state == PostState.PROVED:
        advance(post, "AGAIN", updated_at=look.now)
    _fresh(post, randomness=randomness, job=None, proof=None, error="the chain's challenge has changed")
    return True


def _fresh(post: WindowPost, **data: Any) -> None:
    WindowPost.objects.filter(pk=post.pk).update(**data)
    post.refresh_from_db()
    _tell(post)


def _prove(post: WindowPost, look: Look) -> None:
    """Give out a job, or take the result of the one that is finished."""
    job = post.job
    if job is not None and job.state not in (JobState.DONE, JobState.FAILED):
        if not job_is_lapsed(job, now=look.now):
            return
        # Its time is reckoned by the clock, the window by epochs: the chain stood still, or the clock jumped.
        job_drop(job, now=look.now)
    if job is not None and job.state == JobState.DONE:
        _take(post, look)
        if post.state != PostState.PROVING:
            return
        # Nothing came of it: the next one goes out at once, the window does not wait for a head.
    if post.proofs_made >= PROOFS_MAX:
        return
    facts = partitions_read(look.client, post.miner.address, [post.deadline_index], look.head.key)
    order, kept = proof_order(facts[post.deadline_index], post=post)
    if not order:
        advance(post, "EMPTY", error="no sector of these partitions can be proved", updated_at=look.now)
        _tell(post)
        return
    known = sectors_onchain(look.client, post.miner, sorted(set(order)), look.head.key)
    if not set(order) <= set(known):
        return  # terminated this moment: the next head shows the partition without it
    _job_give(post, order=[known[number] for number in order], partitions=kept, look=look)


def _job_give(post: WindowPost, *, order: list[ProvenSector], partitions: list[int], look: Look) -> None:
    window = Window(
        deadline=post.deadline_index,
        close_epoch=post.close_epoch,
        seconds_left=look.seconds_until(post.close_epoch),
        window_s=look.network.proving.window * look.network.epoch_s,
    )
    with transaction.atomic():
        row = WindowPost.objects.select_for_update().get(pk=post.pk)
        if row.state != PostState.PROVING or row.job_id != post.job_id:
            return  # another task has given one out
        job = job_make(
            post.miner,
            sectors=order,
            randomness=bytes(post.randomness),
            window=window,
            time_sensitive=True,
            now=look.now,
        )
        row.job, row.partitions, row.proofs_made = job, partitions, row.proofs_made + 1
        row.save(update_fields=["job", "partitions", "proofs_made", "updated_at"])
        job_strip(post.job)
    post.refresh_from_db()
    publish(Change("job", job.pk, post.miner.tenant_id))
    _tell(post)


def _take(post: WindowPost, look: Look) -> None:
    """Check a finished job: its proof is kept, its faulty sectors are skipped, a bad proof is made again."""
    job = post.job
    if job is None:
        return
    faults = {int(number) for number in job.result.get("faults", ())}
    if faults:
        facts = partitions_read(look.client, post.miner.address, [post.deadline_index], look.head.key)
        skipped = _skipped_add(post, facts[post.deadline_index], faults)
        words = f"files of sectors {sorted(faults)} cannot be read"
        job_strip(job)
        _fresh(post, job=None, skipped=skipped, error=words[:2000])
        return
    try:
        proof_check(job)
    except BadProof as bad:
        log.warning("bad_proof", post=str(post.uuid), worker=job.result.get("worker"), reason=str(bad))
        job_strip(job)
        _fresh(post, job=None, error=f"the proof of {job.result.get('worker')} is wrong: {bad}"[:2000])
        return
    advance(post, "PROVE", proof=job.proof, proved_at=look.now, error="", updated_at=look.now)
    job_strip(job)
    _tell(post)


def _skipped_add(post: WindowPost, facts: Sequence[PartitionFacts], faults: set[int]) -> dict[str, list[int]]:
    skipped = {index: set(numbers) for index, numbers in post.skipped.items()}
    for index in post.partitions:
        if index < len(facts):
            here = faults & set(facts[index].live)
            if here:
                skipped.setdefault(str(index), set()).update(here)
    return {index: sorted(numbers) for index, numbers in skipped.items()}


def _submit(post: WindowPost, look: Look) -> None:
    """Push SubmitWindowedPoSt once the window is open; the id makes a repeated push harmless.

    Where a kill came between push and note, sender or chain may be others now: then the message that was
    pushed is the one that is followed.
    """
    if look.head.height < post.open_epoch + look.network.confidences.submit:
        return
    commit = _commit_randomness(post, look)
    message_id = f"post:{post.uuid}:{post.messages_sent}"
    try:
        message_push(
            principal=miner_principal(post.miner),
            id=message_id,
            to=post.miner.address,
            from_=sender_choose(post.miner, Use.POST).address,
            method=miner_actor.Method.SUBMIT_WINDOWED_POST,
            params=submit_params(post, commit),
            kind="window_post",
            time_sensitive=True,
            expire_epoch=post.close_epoch - 1,
            urgent_epoch=post.close_epoch,
        )
    except MessageIdTaken:
        log.warning("proof_was_pushed", post=str(post.uuid), message=message_id)
    except DomainError as error:
        _fresh(post, error=error.reason[:2000])
        return
    advance(post, "SEND", message_id=message_id, messages_sent=post.messages_sent + 1, updated_at=look.now)
    _tell(post)


def _commit_randomness(post: WindowPost, look: Look) -> bytes:
    """Draw what the message names to say which branch of the chain it is for."""
    return look.client.state_get_randomness_from_tickets(
        Tag.POST_CHAIN_COMMIT, max(post.challenge_epoch, 0), entropy=b"", key=look.head.key
    )


def submit_params(post: WindowPost, commit: bytes) -> bytes:
    """Give the parameters of SubmitWindowedPoSt."""
    return miner_actor.SUBMIT_WINDOWED_POST_PARAMS.encode(
        miner_actor.SubmitWindowedPoStParams(
            deadline=post.deadline_index,
            partitions=tuple(
                miner_actor.PoStPartition(index=index, skipped=bitfield_of(post.skipped.get(str(index), ())))
                for index in post.partitions
            ),
            proofs=(PoStProof(post.miner.post_proof, bytes(post.proof or b"")),),
            chain_commit_epoch=max(post.challenge_epoch, 0),
            chain_commit_rand=commit,
        )
    )


def _follow(post: WindowPost, message: Message, look: Look) -> bool:
    """Act on what became of the message; False if nothing has yet."""
    if message.state == MessageState.LANDED and message.exit_code == 0:
        advance(post, "LAND", landed_height=message.height, exit_code=0, error="", updated_at=look.now)
        _tell(post)
        return True
    if message.state == MessageState.LANDED:
        if _is_proven(post, look):
            advance(post, "LAND", landed_height=message.height, exit_code=0, error="", updated_at=look.now)
            _tell(post)
            return True
        words = f"the message ended with {exit_code_words(message.exit_code, actor='miner')}"
        if look.head.height >= post.close_epoch:
            return False
        # What the proof was made for may have changed: everything is read and proved again.
        advance(
            post,
            "AGAIN",
            job=None,
            proof=None,
            exit_code=message.exit_code,
            error=words,
            updated_at=look.now,
        )
        _tell(post)
        return True
    if message.state in (MessageState.FAILED, MessageState.REPLACED):
        if look.head.height >= post.close_epoch:
            return False
        words = message.error or f"the message was {message.state.lower()}"
        advance(post, "RESEND", error=words[:2000], updated_at=look.now)
        _tell(post)
        return True
    return False


def _is_proven(post: WindowPost, look: Look) -> bool:
    """Tell whether the chain has a proof of all these partitions, sent by whomever."""
    deadlines = look.client.state_miner_deadlines(post.miner.address, look.head.key)
    if post.deadline_index >= len(deadlines):
        return False
    done = bitfield_from_json(deadlines[post.deadline_index]["PostSubmissions"])
    return all(index in done for index in post.partitions)
