"""The jobs of windows' proofs, given out to provers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db import transaction

from apps.core.compiled import attach
from apps.core.live import Change, publish_all
from apps.core.transitions import advance
from apps.miners.onchain.partition_facts import PartitionFacts, partitions_read
from apps.proving.models import ProofAttempt, WindowPost
from apps.proving.reasons import ALL_UNREAD, NO_BETTER_PROOF, NONE_PROVABLE, PARTITION_UNREAD
from apps.proving.rules.proof_coverage import proof_order_build, provable_sectors_select
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.services.attempts import PROVERS
from apps.proving.services.backup_prover import backup_monitor
from apps.proving.services.fault_rechecks import fallback_use
from apps.proving.services.jobs import job_build, onchain_sectors_read, proof_window_build
from apps.proving.services.offers import post_offers_find
from apps.proving.services.post_updates import post_publish, posts_publish
from apps.proving.services.retries import is_due, note_record, partial_proof_epoch_compute, retry_schedule
from apps.proving.services.windows import post_split
from apps.proving.states import OPEN_ATTEMPTS, AttemptKind, PostState
from apps.sectors.models import Job
from poolsite.wire.job_inputs import ProvenSector


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """What a host is to prove."""

    post: WindowPost
    sectors: list[ProvenSector]
    partitions: list[int]

    def __str__(self) -> str:
        return str(self.post)


def order_find(post: WindowPost, *, context: ProvingContext) -> Iterator[Order]:
    """See to the attempts of a proof that is not made yet; yields what to prove if nobody was asked."""
    backup_monitor(post, context=context)
    if post.state != PostState.PROVING:
        return
    if post.attempt(AttemptKind.FALLBACK) and context.head.height >= partial_proof_epoch_compute(
        post, network=context.network
    ):
        fallback_use(post, context=context, why=NO_BETTER_PROOF())
        return
    if post.attempt(AttemptKind.FIRST) is not None or not is_due(post, context=context):
        return
    read = partitions_read(context.client, post.miner.address, [post.deadline_index], context.head.key)
    facts = read[post.deadline_index]
    order, covered = proof_order_build(facts, post=post)
    if not order:
        _empty(post, context)
        return
    unreadable_part_separate(post, facts=facts, covered=covered, context=context)
    known = onchain_sectors_read(
        context.client, miner=post.miner, numbers=sorted(set(order)), key=context.head.key
    )
    if set(order) <= set(known):  # else some were terminated this moment: the next head shows it without them
        yield Order(post, [known[number] for number in order], covered)


def jobs_create(orders: Sequence[Order], *, context: ProvingContext) -> None:
    """Write the jobs of proofs, unless another task has done so."""
    offers = post_offers_find(
        {one.post: {sector.number for sector in one.sectors} for one in orders}, context=context
    )
    with transaction.atomic():
        keys = [one.post.pk for one in orders]
        rows = WindowPost.objects.select_for_update().filter(pk__in=keys, state=PostState.PROVING)
        free = set(rows.order_by("pk").values_list("pk", flat=True))
        attempts = ProofAttempt.objects.filter(post__in=keys, kind__in=PROVERS, state__in=OPEN_ATTEMPTS)
        free.difference_update(attempts.order_by().values_list("post_id", flat=True))
        written = {one: _job_of(one, offers[one.post], context) for one in orders if one.post.pk in free}
        Job.objects.bulk_create(written.values())
        made = ProofAttempt.objects.bulk_create(
            ProofAttempt(post=one.post, kind=AttemptKind.FIRST, job=job) for one, job in written.items()
        )
        for one in written:
            if one.partitions != one.post.partitions:
                WindowPost.objects.filter(pk=one.post.pk).update(
                    partitions=one.partitions, updated_at=context.now
                )
    for one, attempt in zip(written, made, strict=True):
        one.post.partitions = one.partitions
        attach([one.post], "attempts", [*one.post.attempts.all(), attempt], by="post")
    for one in orders:
        if one not in written:
            one.post.refresh_from_db()
    publish_all([Change("job", job.pk, one.post.miner.tenant_id) for one, job in written.items()])
    posts_publish([one.post for one in written])


def _job_of(order: Order, offered_to: Sequence[int] | None, context: ProvingContext) -> Job:
    post = order.post
    return job_build(
        post.miner,
        sectors=order.sectors,
        randomness=bytes(post.randomness),
        window=proof_window_build(post.deadline_index, close_epoch=post.close_epoch, context=context),
        time_sensitive=True,
        now=context.now,
        offered_to=offered_to,
    )


def _empty(post: WindowPost, context: ProvingContext) -> None:
    """Omit partitions of which no sector can be read, until the files are checked again."""
    if post.attempt(AttemptKind.FALLBACK):
        fallback_use(post, context=context, why=ALL_UNREAD())
        return
    reason = NONE_PROVABLE()
    note_record(post, context=context, text=reason)
    # Two failures at least: a store that is away is not back within the same head.
    advance(
        post, "EMPTY", error=reason, updated_at=context.now, **retry_schedule(post, context=context, least=2)
    )
    post_publish(post)


def unreadable_part_separate(
    post: WindowPost, *, facts: Sequence[PartitionFacts], covered: Sequence[int], context: ProvingContext
) -> None:
    """Set apart the partitions of which no sector could be read: they are tried again by themselves."""
    away = [index for index in post.partitions if index not in covered and post.skipped.get(str(index))]
    groups = [
        [index] for index in away if index < len(facts) and provable_sectors_select(facts[index], skipped=())
    ]
    if not groups:
        return
    reason = PARTITION_UNREAD()
    data = {"state": PostState.NOTHING, "error": reason, **retry_schedule(post, context=context, least=2)}
    for part in post_split(post, groups=groups, **data):
        note_record(part, context=context, text=reason)
