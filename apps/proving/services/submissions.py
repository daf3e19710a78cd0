"""SubmitWindowedPoSt: pushed while the window is open, watched until it lands, made anew where it fails.

What the chain has already is asked before each message: a partition is never sent twice, and a message is
only pushed when the one before has come to its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

import structlog
from django.db import transaction

from apps.chain.node.isolation import for_each_isolated, together_isolated
from apps.core.errors import DomainError, LostRace
from apps.core.reason_fields import is_kept
from apps.core.reasons import as_reason, refused
from apps.core.transitions import advance, advance_many, columns_set
from apps.messages.errors import MessageIdTaken
from apps.messages.models import Message
from apps.messages.rules.push_items import PushItem, SendSpec
from apps.messages.services.cancel import message_withdraw
from apps.messages.services.push import messages_push_batch
from apps.messages.states import MessageState, Wait
from apps.miners.onchain.partition_facts import partitions_read
from apps.miners.selectors.miners import miner_principal
from apps.miners.selectors.senders import senders_chosen
from apps.miners.states import Use
from apps.proving.models import WindowPost
from apps.proving.reasons import (
    MESSAGE_ENDED,
    NOT_SENT,
    ON_CHAIN,
    ON_CHAIN_IN_PART,
    RANDOMNESS_CHANGED,
    RESENDING,
    TRANSFERRED,
    WOULD_FAIL,
)
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.selectors.other_senders import (
    message_end_describe,
    other_sender_choose,
    other_sender_describe,
)
from apps.proving.services.attempts import attempts_cancel
from apps.proving.services.fault_rechecks import may_wait
from apps.proving.services.post_updates import NOT_MOVED, post_publish, post_update, posts_publish
from apps.proving.services.retries import note_record, retry_schedule
from apps.sectors.selectors.proof_forms import proof_form_check
from poolsite.filecoin.actors import miner as miner_actor
from poolsite.filecoin.actors.exitcodes import exit_code_text
from poolsite.filecoin.actors.miner_proving import PoStPartition, SubmitWindowedPoStParams
from poolsite.filecoin.bitfield import bitfield_from_json, bitfield_of
from poolsite.filecoin.block import PoStProof
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.randomness import Tag

log = structlog.get_logger(__name__)

ESTIMATES_MAX: Final = 3
"""Heads on which the node may refuse a message in advance before its proof is made again."""
NO_PROOF: Final[dict[str, Any]] = {"proof": None, "skipped": {}}
"""Columns of a proof that is made from the beginning: every sector is read again."""


def posts_submit(
    posts: Sequence[WindowPost], *, context: ProvingContext, senders: Mapping[WindowPost, str]
) -> None:
    """Push SubmitWindowedPoSt for proofs whose windows are open; the ids make a repeated push harmless.

    Where a kill came between push and note, sender or chain may be others now: then the message that was
    pushed is the one that is followed.  A proof that leaves out sectors waits for them for a while.
    `senders` are other addresses than the chosen ones, after messages that these could not send.
    """
    ready: list[tuple[WindowPost, bytes]] = []

    def prepare(post: WindowPost) -> None:
        if context.head.height < post.open_epoch + context.network.confidences.submit or may_wait(
            post, context=context
        ):
            return
        if onchain_proof_handle(post, context=context):
            return
        params = submit_params_encode(post, commit=commit_draw(post, context=context))
        try:
            proof_form_check(context.network, bytes(post.proof or b""))
        except DomainError as refusal:
            _refusal_note(post, refusal, context)
        else:
            ready.append((post, params))

    for_each_isolated(posts, prepare, event=NOT_MOVED)
    push = partial(_messages_push, senders=senders, context=context)
    together_isolated([one for one in ready if not one[0].attempts_open()], push, event=NOT_MOVED)
    for_each_isolated(
        [one for one in ready if one[0].attempts_open()], lambda one: push([one]), event=NOT_MOVED
    )


def _messages_push(
    ready: Sequence[tuple[WindowPost, bytes]], *, senders: Mapping[WindowPost, str], context: ProvingContext
) -> None:
    """Push the messages of some proofs, and note which were."""
    chosen = senders_chosen([post.miner for post, _ in ready if not senders.get(post)], uses=[Use.POST])
    items = [
        PushItem(
            id=_message_id(post),
            to=post.miner.address,
            from_=senders.get(post) or chosen[post.miner][Use.POST],
            method=miner_actor.Method.SUBMIT_WINDOWED_POST,
            params=params,
            kind="window_post",
            spec=SendSpec(expire_epoch=post.close_epoch - 1),
            time_sensitive=True,
            urgent_epoch=post.close_epoch,
        )
        for post, params in ready
    ]
    principals = [miner_principal(post.miner) for post, _ in ready]
    answers = messages_push_batch(list(zip(principals, items, strict=True)))
    pushed = []
    for (post, _), item, answer in zip(ready, items, answers, strict=True):
        if isinstance(answer, MessageIdTaken):
            log.warning("proof_was_pushed", post=str(post.uuid), message=item.id)
        elif isinstance(answer, DomainError):
            _refusal_note(post, answer, context)
            continue
        pushed.append(post)
    sent = {
        post.pk: {"message_id": _message_id(post), "messages_sent": post.messages_sent + 1} for post in pushed
    }
    data = {"sent_height": context.head.height, "updated_at": context.now}
    with transaction.atomic():
        moved = advance_many(WindowPost, "SEND", sent, returning="state", **data)
        for post in pushed:
            if post.pk not in moved:
                raise LostRace(post, "SEND")
            attempts_cancel(post, context=context)
    for post in pushed:
        columns_set(post, state=moved[post.pk], **sent[post.pk], **data)
    posts_publish(pushed)


def _message_id(post: WindowPost) -> str:
    return f"post:{post.uuid}:{post.messages_sent}"


def _refusal_note(post: WindowPost, refusal: DomainError, context: ProvingContext) -> None:
    """Note why a proof's message was not accepted, once for each reason."""
    reason = refused(refusal)
    if not is_kept(post, "error", reason):
        note_record(post, context=context, text=NOT_SENT(error=reason))
        post_update(post, error=reason)


def onchain_proof_handle(post: WindowPost, *, context: ProvingContext) -> bool:
    """Look up what the chain has of these partitions, and take a step if it has any: it would refuse them.

    With all of them the proof counts as landed, with some the others are proved by themselves.
    """
    done = proven_partitions_read(post, context=context)
    if not done:
        return False
    if done >= set(post.partitions):
        foreign_proof_land(post, height=context.head.height, context=context)
    else:
        reason = ON_CHAIN_IN_PART(done=str(sorted(done)))
        note_record(post, context=context, text=reason)
        data = {**_rest_again(post, done), "error": reason, "updated_at": context.now}
        with transaction.atomic():
            advance(post, "AGAIN", **data)
            attempts_cancel(post, context=context)
        post_publish(post)
    return True


def foreign_proof_land(post: WindowPost, *, height: int, context: ProvingContext) -> None:
    """Note that the chain has a proof by a height at the latest, sent by whomever."""
    text = ON_CHAIN()
    with transaction.atomic():
        note_record(post, context=context, text=text, is_error=False)
        advance(post, "LAND", updated_at=context.now, landed_height=height, exit_code=0, error="")
        attempts_cancel(post, context=context)
    post_publish(post)


def _rest_again(post: WindowPost, done: set[int]) -> dict[str, Any]:
    """Return the columns of a proof that is made from the beginning without partitions that the chain has."""
    return {**NO_PROOF, "partitions": [index for index in post.partitions if index not in done]}


def commit_draw(post: WindowPost, *, context: ProvingContext) -> bytes:
    """Draw what the message names to say which branch of the chain it is for."""
    return context.client.state_get_randomness_from_tickets(
        Tag.POST_CHAIN_COMMIT, max(post.challenge_epoch, 0), entropy=b"", key=context.head.key
    )


def submit_params_encode(post: WindowPost, *, commit: bytes) -> bytes:
    """Return the parameters of SubmitWindowedPoSt."""
    return to_cbor(
        SubmitWindowedPoStParams(
            deadline=post.deadline_index,
            partitions=tuple(
                PoStPartition(index=index, skipped=bitfield_of(post.skipped.get(str(index), ())))
                for index in post.partitions
            ),
            proofs=(PoStProof(post.miner.post_proof, bytes(post.proof or b"")),),
            chain_commit_epoch=max(post.challenge_epoch, 0),
            chain_commit_rand=commit,
        )
    )


def is_outdated(post: WindowPost, *, message: Message, context: ProvingContext) -> bool:
    """Return whether a message can never land: it names randomness of another branch."""
    return submit_params_encode(post, commit=commit_draw(post, context=context)) != bytes(message.params)


def stuck_message_handle(post: WindowPost, *, message: Message, context: ProvingContext) -> str:
    """Cancel a message without a nonce that cannot land, and move the proof on by what the chain has.

    Returns the address that sends the proof instead, if it is another one.
    Raises WrongState or LostRace if it was signed this moment.
    """
    if message.state != MessageState.UNFILLED:
        return ""
    reason, event, data, sender = "", "RESEND", {}, ""
    if message.tenant_id != post.miner.tenant_id:
        # The message waits for the old tenant's signer or funds; the new tenant sends its own.
        reason = TRANSFERRED()
    elif message.wait == Wait.ESTIMATE:
        done = proven_partitions_read(post, context=context)
        if done >= set(post.partitions):
            reason, event = ON_CHAIN(), "LAND"
            data = {"landed_height": context.head.height, "exit_code": 0}
        elif is_outdated(post, message=message, context=context):
            reason = RANDOMNESS_CHANGED()
        elif message.attempts >= ESTIMATES_MAX:
            reason, event = WOULD_FAIL(error=as_reason(message.error)), "AGAIN"
            data = {**_rest_again(post, done), **retry_schedule(post, context=context)}
    else:
        pushed = [f"post:{post.uuid}:{number}" for number in range(post.messages_sent)]
        waits = context.head.height - (post.sent_height or 0)
        sender = other_sender_choose(message, miner=post.miner, pushed=pushed, waits=waits)
        reason = other_sender_describe(message) if sender else ""
    if not reason:
        return ""
    message_withdraw(message, reason=reason, now=context.now)
    note_record(post, context=context, text=reason, is_error=event != "LAND")
    error = "" if event == "LAND" else reason
    advance(post, event, error=error, updated_at=context.now, **data)
    post_publish(post)
    return sender


def posts_land(
    posts: Sequence[WindowPost], *, messages: Mapping[str, Message], context: ProvingContext
) -> None:
    """Note that proofs have landed with their messages.  Raises LostRace."""
    heights = {post.pk: {"landed_height": messages[post.message_id].height} for post in posts}
    data = {"exit_code": 0, "error": "", "updated_at": context.now}
    with transaction.atomic():
        moved = advance_many(WindowPost, "LAND", heights, returning="state", **data)
        for post in posts:
            if post.pk not in moved:
                raise LostRace(post, "LAND")
    for post in posts:
        columns_set(post, state=moved[post.pk], **heights[post.pk], **data)
    posts_publish(posts)


def message_follow(post: WindowPost, *, message: Message, context: ProvingContext) -> None:
    """Follow what became of a message that has not succeeded, if anything has yet."""
    if context.head.height >= post.close_epoch:
        return
    if message.state == MessageState.LANDED:
        _failed_onchain(post, message, context)
    elif message.state in (MessageState.FAILED, MessageState.REPLACED) and not _may_still_land(
        message, context
    ):
        reason = message_end_describe(message)
        note_record(post, context=context, text=RESENDING(reason=as_reason(reason)))
        advance(post, "RESEND", error=reason, updated_at=context.now)
        post_publish(post)


def _failed_onchain(post: WindowPost, message: Message, context: ProvingContext) -> None:
    """See what the chain has now; unless it explains the failure, all is read and proved again."""
    reason = MESSAGE_ENDED(exit_code=as_reason(exit_code_text(message.exit_code, actor="miner")))
    data: dict[str, Any] = {"exit_code": message.exit_code, "error": reason, "updated_at": context.now}
    done = proven_partitions_read(post, context=context)
    if done >= set(post.partitions):
        data |= {"landed_height": message.height, "exit_code": 0, "error": ""}
        event = "LAND"
    elif is_outdated(post, message=message, context=context):
        event = "RESEND"  # the chain took another branch: the proof itself was not at fault
    else:
        event, data = "AGAIN", data | _rest_again(post, done) | retry_schedule(post, context=context)
    note_record(post, context=context, text=reason)
    advance(post, event, **data)
    post_publish(post)


def _may_still_land(message: Message, context: ProvingContext) -> bool:
    """Return whether a message that was given up by hand might still land beside the next one.

    Its nonce is free then, and after two heads the messager gives it to the next message: only one of the two
    can land.
    """
    is_out = message.state == MessageState.FAILED and message.nonce is not None
    return is_out and context.now - message.updated_at < timedelta(seconds=2 * context.network.epoch_s)


def proven_partitions_read(post: WindowPost, *, context: ProvingContext) -> set[int]:
    """Return those of the partitions of which the chain has a proof for this window, sent by whomever."""
    deadlines = context.client.state_miner_deadlines(post.miner.address, context.head.key)
    if context.head.height < post.open_epoch or post.deadline_index >= len(deadlines):
        return set()
    done = bitfield_from_json(deadlines[post.deadline_index]["PostSubmissions"])
    return {index for index in post.partitions if index in done}


def is_close_executed(post: WindowPost, *, context: ProvingContext) -> bool:
    """Return whether the state that nodes answer from at this head has the end of the window.

    That is the state below the head (lotus chain/stmgr `ParentState`), after the tipset there: where null
    rounds follow it, the window's last epoch is executed only with the head, and seen at the next one.
    """
    below = context.client.chain_get_tipset_by_height(context.head.height - 1, context.head.key)
    return below.height >= post.close_epoch - 1


def is_window_proved(post: WindowPost, *, context: ProvingContext) -> bool | None:
    """Return whether a proof of all partitions was on the chain when the window closed, sent by whomever.

    All sectors of a partition without one are faulty from then on.  None where a later window may have
    changed that.
    """
    if context.head.height >= post.close_epoch + context.network.proving.period:
        return None
    read = partitions_read(context.client, post.miner.address, [post.deadline_index], context.head.key)
    facts = read[post.deadline_index]
    return all(index < len(facts) and facts[index].active for index in post.partitions)
