"""The jobs of a window's proof: given out to provers, their results checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from django.db import transaction

from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.miners.onchain import partitions_read
from apps.proving.models import WindowPost
from apps.proving.services.backup_prover import backup_cancel, backup_collect, backup_monitor, other_attempt
from apps.proving.services.fault_rechecks import fallback_use, is_fallback_as_good
from apps.proving.services.jobs import (
    BadProof,
    Window,
    job_cancel,
    job_create,
    job_is_lapsed,
    job_strip,
    proof_check,
    sectors_onchain,
)
from apps.proving.services.post_updates import post_update, publish_post
from apps.proving.services.proof_coverage import proof_order, sectors_to_prove, skipped_add
from apps.proving.services.retries import better_until, is_due, note_record, paused, try_failed
from apps.proving.services.windows import post_split
from apps.proving.states import PostState
from apps.sectors.states import JobState
from poolsite.wire.codec import document_decode
from poolsite.wire.jobs import WindowPostInputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.miners.onchain import PartitionFacts
    from apps.proving.services.proving_context import ProvingContext
    from apps.sectors.models import Job
    from poolsite.wire.jobs import ProvenSector

log = structlog.get_logger(__name__)


def post_prove(post: WindowPost, context: ProvingContext) -> None:
    """Create a job, or collect the result of the one that is finished, while it can still land."""
    backup_collect(post)
    _job_end(post, context)
    if post.state == PostState.PROVING:
        backup_monitor(post, context)
    if post.state != PostState.PROVING:
        return
    if post.fallback and context.head.height >= better_until(post, context.network):
        fallback_use(post, context, why="no better proof came in time")
        return
    if post.job is not None or not is_due(post, context):
        return
    read = partitions_read(context.client, post.miner.address, [post.deadline_index], context.head.key)
    facts = read[post.deadline_index]
    order, kept = proof_order(facts, post=post)
    if not order:
        _empty(post, context)
        return
    _unreadable_part(post, facts, kept=kept, context=context)
    known = sectors_onchain(context.client, post.miner, sorted(set(order)), context.head.key)
    if not set(order) <= set(known):
        return  # terminated this moment: the next head shows the partition without it
    _job_create(post, order=[known[number] for number in order], partitions=kept, context=context)


def _job_end(post: WindowPost, context: ProvingContext) -> None:
    """See to a job that has ended or that nobody may claim any more; its failure counts as a try."""
    job = post.job
    if job is None:
        return
    if job.state == JobState.DONE:
        _result_collect(post, context)
    elif job.state == JobState.FAILED:
        job_strip(job)
        try_failed(post, context, words=f"no proof was made: {job.error}", **other_attempt(post))
        if not post.fallback and post.job is None:
            _part_each(post, context)
    elif job_is_lapsed(job, now=context.now):
        # Its time is reckoned by the clock, the window by epochs: the chain stood still, or the clock jumped.
        job_cancel(job, now=context.now)
        job_strip(job)
        post_update(post, **other_attempt(post))


def _part_each(post: WindowPost, context: ProvingContext) -> None:
    """Prove partitions one by one after one proof for all of them failed: it may be for the sake of one."""
    rest = [[index] for index in post.partitions[1:]]
    for part in post_split(post, rest, error=post.error, tries=post.tries, try_epoch=post.try_epoch):
        note_record(part, context, f"proved apart from partition {post.partitions[0]}: {post.error}")


def _empty(post: WindowPost, context: ProvingContext) -> None:
    """Leave partitions of which no sector can be read, until the files are looked at again."""
    if post.fallback:
        fallback_use(post, context, why="no sector can be read now")
        return
    words = "no sector of these partitions can be proved"
    note_record(post, context, words)
    # Two failures at least: a store that is away is not back within the same head.
    advance(post, "EMPTY", error=words, updated_at=context.now, job=None, **paused(post, context, least=2))
    publish_post(post)


def _unreadable_part(
    post: WindowPost, facts: Sequence[PartitionFacts], *, kept: Sequence[int], context: ProvingContext
) -> None:
    """Set apart the partitions of which no sector could be read: they are tried again by themselves."""
    away = [index for index in post.partitions if index not in kept and post.skipped.get(str(index))]
    groups = [[index] for index in away if index < len(facts) and sectors_to_prove(facts[index], ())]
    if post.fallback or not groups:
        return
    words = "no sector of this partition can be read"
    data = {"state": PostState.NOTHING, "error": words, **paused(post, context, least=2)}
    for part in post_split(post, groups, **data):
        note_record(part, context, words)


def _job_create(
    post: WindowPost, *, order: list[ProvenSector], partitions: list[int], context: ProvingContext
) -> None:
    window = Window(
        deadline=post.deadline_index,
        close_epoch=post.close_epoch,
        seconds_left=context.seconds_until(post.close_epoch),
        window_s=context.network.proving.window * context.network.epoch_s,
    )
    with transaction.atomic():
        row = WindowPost.objects.select_for_update().get(pk=post.pk)
        if row.state != PostState.PROVING or row.job_id != post.job_id:
            return  # another task has given one out
        job = job_create(
            post.miner,
            sectors=order,
            randomness=bytes(post.randomness),
            window=window,
            time_sensitive=True,
            now=context.now,
        )
        row.job, row.partitions, row.proofs_made = job, partitions, row.proofs_made + 1
        row.save(update_fields=["job", "partitions", "proofs_made", "updated_at"])
        job_strip(post.job)
    post.refresh_from_db()
    publish(Change("job", job.pk, post.miner.tenant_id))
    publish_post(post)


def _result_collect(post: WindowPost, context: ProvingContext) -> None:
    """Check a finished job: its proof is kept, its faulty sectors are skipped, a bad proof is made again."""
    job = post.job
    if job is None:
        return
    faults = {int(number) for number in job.result.get("faults", ())}
    if faults:
        if post.backup_job is not None and faults >= _is_requested(job):
            # The other host has not given up: perhaps it is this one that cannot read the store.
            job_strip(job)
            words = f"{job.result.get('worker')} can read none of the sectors"
            try_failed(post, context, words=words, **other_attempt(post))
            return
        facts = partitions_read(context.client, post.miner.address, [post.deadline_index], context.head.key)
        skipped = skipped_add(post, facts[post.deadline_index], faults)
        words = f"files of sectors {sorted(faults)} cannot be read"
        job_strip(job)
        if skipped == post.skipped:
            words = f"{job.result.get('worker')} names sectors that are not asked for"
            try_failed(post, context, words=words, **other_attempt(post))
            return
        backup_cancel(post, context)  # it proves sectors that are left out now
        # That is a step forward: the next proof, without them, goes out at once.
        note_record(post, context, words)
        post_update(post, job=None, backup_job=None, stall="", skipped=skipped, error=words[:2000])
        if is_fallback_as_good(post):
            fallback_use(post, context, why="they cannot be read after all")
        return
    try:
        proof_check(job)
    except BadProof as bad:
        log.warning("bad_proof", post=str(post.uuid), worker=job.result.get("worker"), reason=str(bad))
        job_strip(job)
        words = f"the proof of {job.result.get('worker')} is wrong: {bad}"
        try_failed(post, context, words=words, **other_attempt(post))
        return
    _proof_store(post, job, context)


def _proof_store(post: WindowPost, job: Job, context: ProvingContext) -> None:
    """Keep a good proof; nobody needs to make it any more."""
    if post.backup_job is not None:
        note_record(post, context, f"the proof of {job.result.get('worker')} is taken", is_error=False)
    backup_cancel(post, context)
    advance(
        post,
        "PROVE",
        proof=job.proof,
        proved_at=context.now,
        error="",
        tries=0,
        try_epoch=None,
        fallback={},
        fallback_proof=None,
        backup_job=None,
        stall="",
        updated_at=context.now,
    )
    job_strip(job)
    publish_post(post)


def _is_requested(job: Job) -> set[int]:
    return {sector.number for sector in document_decode(WindowPostInputs, job.inputs).sectors}
