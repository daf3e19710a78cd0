"""SubmitWindowedPoSt: pushed while the window is open, and what became of the message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from apps.core.errors import DomainError
from apps.core.transitions import advance
from apps.messages.errors import MessageIdTaken
from apps.messages.services import message_push
from apps.messages.states import MessageState, Wait
from apps.miners.selectors import miner_principal, sender_choose
from apps.miners.states import Use
from apps.proving.services.changes import post_set, post_tell
from poolsite.filecoin.actors import miner as miner_actor
from poolsite.filecoin.actors.exitcodes import exit_code_words
from poolsite.filecoin.bitfield import bitfield_from_json, bitfield_of
from poolsite.filecoin.block import PoStProof
from poolsite.filecoin.randomness import Tag

if TYPE_CHECKING:
    from apps.messages.models import Message
    from apps.proving.models import WindowPost
    from apps.proving.services.look import Look

log = structlog.get_logger(__name__)


def post_submit(post: WindowPost, look: Look) -> None:
    """Push SubmitWindowedPoSt once the window is open; the id makes a repeated push harmless.

    Where a kill came between push and note, sender or chain may be others now: then the message that was
    pushed is the one that is followed.
    """
    if look.head.height < post.open_epoch + look.network.confidences.submit:
        return
    commit = commit_draw(post, look)
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
        post_set(post, error=error.reason[:2000])
        return
    advance(post, "SEND", message_id=message_id, messages_sent=post.messages_sent + 1, updated_at=look.now)
    post_tell(post)


def commit_draw(post: WindowPost, look: Look) -> bytes:
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


def is_outdated(post: WindowPost, message: Message, look: Look) -> bool:
    """Tell whether a message without a nonce can never land: it names randomness of another branch."""
    if message.state != MessageState.UNFILLED or message.wait != Wait.ESTIMATE:
        return False
    return submit_params(post, commit_draw(post, look)) != bytes(message.params)


def message_follow(post: WindowPost, message: Message, look: Look) -> bool:
    """Act on what became of the message; False if nothing has yet."""
    if message.state == MessageState.LANDED and message.exit_code == 0:
        advance(post, "LAND", landed_height=message.height, exit_code=0, error="", updated_at=look.now)
        post_tell(post)
        return True
    if message.state == MessageState.LANDED:
        if is_proven_onchain(post, look):
            advance(post, "LAND", landed_height=message.height, exit_code=0, error="", updated_at=look.now)
            post_tell(post)
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
        post_tell(post)
        return True
    if message.state in (MessageState.FAILED, MessageState.REPLACED):
        if look.head.height >= post.close_epoch:
            return False
        words = message.error or f"the message was {message.state.lower()}"
        advance(post, "RESEND", error=words[:2000], updated_at=look.now)
        post_tell(post)
        return True
    return False


def is_proven_onchain(post: WindowPost, look: Look) -> bool:
    """Tell whether the chain has a proof of all these partitions, sent by whomever."""
    deadlines = look.client.state_miner_deadlines(post.miner.address, look.head.key)
    if post.deadline_index >= len(deadlines):
        return False
    done = bitfield_from_json(deadlines[post.deadline_index]["PostSubmissions"])
    return all(index in done for index in post.partitions)
