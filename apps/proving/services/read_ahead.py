"""What a pass will ask of the chain about a window, fetched for many windows at the same time.

Whoever moves a proof then finds the answers in `ProvingContext.client`.  What is not foreseen here, because a
pass takes another turn than most, is asked when it is needed: slower, never wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from apps.chain.node.calls import (
    BEACON,
    TICKETS,
    Call,
    deadlines_call,
    partitions_call,
    randomness_call,
    sectors_call,
    tipset_by_height_call,
)
from apps.messages.models import Message
from apps.messages.states import MessageState
from apps.miners.models import Miner
from apps.miners.onchain.partition_facts import partitions_read
from apps.proving.models import WindowPost
from apps.proving.rules.proof_coverage import proof_order_build
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.services.windows import partition_groups_list
from apps.proving.states import AttemptKind, PostState
from apps.sectors.states import JobState
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.bitfield import bitfield_of, bitfield_to_json
from poolsite.filecoin.deadlines import DeadlineInfo
from poolsite.filecoin.randomness import Tag, miner_entropy


def windows_reader_build(
    miner: Miner, *, windows: Sequence[DeadlineInfo], context: ProvingContext
) -> Callable[[], None]:
    """Return what fetches all that the first proofs of a miner's windows need; it asks no database."""
    key, client = context.head.key, context.client
    calls = [partitions_call(miner.address, one.index, key) for one in windows]
    calls += [_challenge_call(miner, one.challenge, key) for one in windows]

    def read() -> None:
        client.read_ahead(calls)
        posts = [
            WindowPost(deadline_index=one.index, partitions=group)
            for one in windows
            for group in partition_groups_list(miner, index=one.index, context=context)
        ]
        _sectors_fetch(miner, posts, context)

    return read


def post_reader_build(
    post: WindowPost, *, message: Message | None, context: ProvingContext
) -> Callable[[], None] | None:
    """Return what fetches all that the next step of a proof needs; it asks no database.  None: nothing."""
    calls, miner, key = _calls(post, message, context), post.miner, context.head.key
    if not calls:
        return None
    needs_job = post.state == PostState.PROVING and post.attempt(AttemptKind.FIRST) is None
    if needs_job:
        calls.append(partitions_call(miner.address, post.deadline_index, key))

    def read() -> None:
        context.client.read_ahead(calls)
        if needs_job:
            _sectors_fetch(miner, [post], context)

    return read


def _calls(post: WindowPost, message: Message | None, context: ProvingContext) -> list[Call]:
    """Return the calls whose parameters are known before any answer."""
    height, key, address = context.head.height, context.head.key, post.miner.address
    if post.state == PostState.LANDED and (message is None or not message.has_succeeded):
        return [deadlines_call(address, key)] if height < post.close_epoch else []
    if post.state in (PostState.LANDED, PostState.MISSED):
        return []
    if height >= post.close_epoch:
        return [tipset_by_height_call(height - 1, key), partitions_call(address, post.deadline_index, key)]
    if post.state == PostState.SENT and _is_well(post, message, context):
        return []
    calls = [_challenge_call(post.miner, post.challenge_epoch, key)]
    is_made = post.state != PostState.PROVING or any(
        one.job is not None and one.job.state == JobState.DONE for one in post.attempts_open().values()
    )
    if is_made and height >= post.open_epoch + context.network.confidences.submit:
        calls += [
            deadlines_call(address, key),
            randomness_call(
                TICKETS, Tag.POST_CHAIN_COMMIT, max(post.challenge_epoch, 0), entropy=b"", key=key
            ),
        ]
    return calls


def _is_well(post: WindowPost, message: Message | None, context: ProvingContext) -> bool:
    """Return whether a sent proof's message is on its way or has landed: the chain is not asked for it."""
    if message is None or message.has_succeeded or message.state == MessageState.FILLED:
        return True
    return message.state == MessageState.UNFILLED and context.head.height == post.sent_height


def _challenge_call(miner: Miner, epoch: int, key: str) -> Call:
    entropy = miner_entropy(address_parse(miner.address))
    return randomness_call(BEACON, Tag.WINDOWED_POST_CHALLENGE_SEED, max(epoch, 0), entropy=entropy, key=key)


def _sectors_fetch(miner: Miner, posts: Sequence[WindowPost], context: ProvingContext) -> None:
    """Fetch what the chain knows of the sectors of proofs for which a job will be written."""
    key, calls = context.head.key, []
    for post in posts:
        at = post.deadline_index
        order, _ = proof_order_build(partitions_read(context.client, miner.address, [at], key)[at], post=post)
        if order:
            calls.append(sectors_call(miner.address, bitfield_to_json(bitfield_of(sorted(set(order)))), key))
    context.client.read_ahead(calls)
