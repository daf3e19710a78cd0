"""The jobs of a window's proof: given out to provers, their results checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from django.db import transaction
from django.utils.translation import gettext, gettext_noop

from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.miners.onchain.partition_facts import partitions_read
from apps.proving.models import ProofAttempt, WindowPost
from apps.proving.rules.proof_coverage import (
    proof_order_build,
    provable_sectors_select,
    skipped_add,
    skipped_of,
)
from apps.proving.services.attempts import (
    PROVERS,
    attempt_cancel,
    attempt_collect,
    attempt_end,
    attempt_fail,
    attempt_promote,
    attempts_cancel,
    running_attempts_list,
)
from apps.proving.services.backup_prover import backup_monitor
from apps.proving.services.check_results import proof_results_store
from apps.proving.services.fault_rechecks import fallback_use, is_fallback_as_good
from apps.proving.services.jobs import (
    BadProof,
    faults_read,
    job_create,
    job_is_lapsed,
    onchain_sectors_read,
    proof_check,
    proof_window_build,
)
from apps.proving.services.offers import has_other_host, offer_find, post_failures_count
from apps.proving.services.post_updates import post_publish, post_update
from apps.proving.services.retries import is_due, note_record, partial_proof_epoch_compute, retry_schedule
from apps.proving.services.windows import post_split
from apps.proving.states import AttemptKind, AttemptState, PostState
from apps.sectors.states import JobState
from poolsite.wire.codec import document_decode
from poolsite.wire.job_inputs import WindowPostInputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.miners.onchain.partition_facts import PartitionFacts
    from apps.proving.rules.proving_context import ProvingContext
    from apps.sectors.models import Job
    from poolsite.wire.job_inputs import ProvenSector

log = structlog.get_logger(__name__)


def post_prove(post: WindowPost, *, context: ProvingContext) -> None:
    """Create a job, or collect the result of the one that is finished, while it can still land."""
    _attempt_collect(post, context)
    if post.state == PostState.PROVING:
        backup_monitor(post, context=context)
    if post.state != PostState.PROVING:
        return
    if post.attempt(AttemptKind.FALLBACK) and context.head.height >= partial_proof_epoch_compute(
        post, network=context.network
    ):
        fallback_use(post, context=context, why=gettext_noop("no better proof was made in time"))
        return
    if post.attempt(AttemptKind.FIRST) is not None or not is_due(post, context=context):
        return
    read = partitions_read(context.client, post.miner.address, [post.deadline_index], context.head.key)
    facts = read[post.deadline_index]
    order, covered = proof_order_build(facts, post=post)
    if not order:
        _empty(post, context)
        return
    _unreadable_part(post, facts, covered=covered, context=context)
    known = onchain_sectors_read(
        context.client, miner=post.miner, numbers=sorted(set(order)), key=context.head.key
    )
    if not set(order) <= set(known):
        return  # some were terminated this moment: the next head shows the partition without them
    _job_create(post, order=[known[number] for number in order], partitions=covered, context=context)


def _attempt_collect(post: WindowPost, context: ProvingContext) -> None:
    """See to an attempt that has ended or that nobody may claim any more; its failure counts as a try."""
    attempt = attempt_collect(post)
    if attempt is None:
        first = post.attempt(AttemptKind.FIRST)
        if first is not None and job_is_lapsed(first.work, now=context.now):
            # A job's time runs by the clock, the window by epochs: the chain or the clock jumped.
            attempt_cancel(
                post, attempt=first, context=context, reason=gettext_noop("no host claimed it in time")
            )
            post_publish(post)
    elif attempt.work.state == JobState.DONE:
        _result_collect(post, attempt, context)
    else:
        with transaction.atomic():
            attempt_fail(
                post,
                attempt=attempt,
                context=context,
                reason=gettext_noop("no proof was made: {error}").format(error=attempt.work.error),
            )
            if not post.attempt(AttemptKind.FALLBACK) and not post.attempt(AttemptKind.FIRST):
                _part_each(post, context)


def _part_each(post: WindowPost, context: ProvingContext) -> None:
    """Prove partitions one by one after one proof for all of them failed: it may be for the sake of one."""
    rest = [[index] for index in post.partitions[1:]]
    for part in post_split(post, groups=rest, error=post.error, tries=post.tries, try_epoch=post.try_epoch):
        note_record(
            part,
            context=context,
            text=gettext("proving separately from partition {partition}: {error}").format(
                partition=post.partitions[0], error=post.error
            ),
        )


def _empty(post: WindowPost, context: ProvingContext) -> None:
    """Omit partitions of which no sector can be read, until the files are checked again."""
    if post.attempt(AttemptKind.FALLBACK):
        fallback_use(post, context=context, why=gettext_noop("no sectors can be read now"))
        return
    reason = gettext_noop("no sectors in these partitions can be proved")
    note_record(post, context=context, text=reason)
    # Two failures at least: a store that is away is not back within the same head.
    advance(
        post, "EMPTY", error=reason, updated_at=context.now, **retry_schedule(post, context=context, least=2)
    )
    post_publish(post)


def _unreadable_part(
    post: WindowPost, facts: Sequence[PartitionFacts], *, covered: Sequence[int], context: ProvingContext
) -> None:
    """Set apart the partitions of which no sector could be read: they are tried again by themselves."""
    away = [index for index in post.partitions if index not in covered and post.skipped.get(str(index))]
    groups = [
        [index] for index in away if index < len(facts) and provable_sectors_select(facts[index], skipped=())
    ]
    if not groups:
        return
    reason = gettext_noop("no sectors in this partition can be read")
    data = {"state": PostState.NOTHING, "error": reason, **retry_schedule(post, context=context, least=2)}
    for part in post_split(post, groups=groups, **data):
        note_record(part, context=context, text=reason)


def _job_create(
    post: WindowPost, *, order: list[ProvenSector], partitions: list[int], context: ProvingContext
) -> None:
    with transaction.atomic():
        row = WindowPost.objects.select_for_update().get(pk=post.pk)
        if row.state != PostState.PROVING or running_attempts_list(row):
            return  # another task has created the job
        job = job_create(
            post.miner,
            sectors=order,
            randomness=bytes(post.randomness),
            window=proof_window_build(post.deadline_index, close_epoch=post.close_epoch, context=context),
            time_sensitive=True,
            now=context.now,
            offered_to=offer_find(
                post.miner,
                numbers={sector.number for sector in order},
                failures=post_failures_count(post),
                context=context,
            ),
        )
        ProofAttempt.objects.create(post=row, kind=AttemptKind.FIRST, job=job)
        row.partitions = partitions
        row.save(update_fields=["partitions", "updated_at"])
    post.refresh_from_db()
    publish(Change("job", job.pk, post.miner.tenant_id))
    post_publish(post)


def _result_collect(post: WindowPost, attempt: ProofAttempt, context: ProvingContext) -> None:
    """Check a finished job: its proof is kept, its faulty sectors are skipped, a bad proof is made again."""
    job = attempt.work
    faults = faults_read(job)
    if faults:
        _faults_collect(post, attempt, faults, context)
        return
    try:
        proof_check(job)
    except BadProof as bad:
        host = _prover_name(job)
        log.warning("bad_proof", post=str(post.uuid), worker=host, reason=str(bad))
        attempt_fail(
            post,
            attempt=attempt,
            context=context,
            reason=gettext_noop("invalid proof from {host}: {bad}").format(host=host, bad=bad),
        )
        return
    _proof_store(post, attempt, context)


def _prover_name(job: Job) -> str:
    """Return whose result a job has; a proof counts that comes after its lease, if nobody else has begun."""
    return str(job.result.get("worker") or gettext("a host with an expired lease"))


def _faults_collect(
    post: WindowPost, attempt: ProofAttempt, faults: set[int], context: ProvingContext
) -> None:
    """Omit the sectors that a host could not read; if it read none, another host is asked first.

    The host's proof of the others is kept; one of an earlier version makes none, and is asked again.
    """
    host, requested = _prover_name(attempt.work), _is_requested(attempt.work)
    if faults >= requested and (
        len(running_attempts_list(post)) == 2 or has_other_host(post, job=attempt.work, context=context)
    ):
        # Perhaps only this one cannot read the store.
        attempt_fail(
            post,
            attempt=attempt,
            context=context,
            reason=gettext_noop("{host} cannot read any of the sectors").format(host=host),
        )
        return
    read = partitions_read(context.client, post.miner.address, [post.deadline_index], context.head.key)
    facts = read[post.deadline_index]
    skipped = skipped_add(post, facts=facts, faults=faults & requested)
    if skipped == post.skipped:
        attempt_fail(
            post,
            attempt=attempt,
            context=context,
            reason=gettext_noop("{host} reports sectors outside this proof").format(host=host),
        )
        return
    reason = gettext_noop("files of sectors {faults} cannot be read").format(faults=sorted(faults))
    partial = WindowPost(partitions=post.partitions, skipped=skipped)
    order, partial.partitions = proof_order_build(facts, post=partial)
    if set(order) == requested - faults and _has_good_proof(attempt.work):
        partial.proof = attempt.work.proof
        _partial_proof_store(post, attempt, partial, facts=facts, reason=reason, context=context)
        return
    with transaction.atomic():
        # This counts as progress, not as a failed try: the next proof, without them, goes out at once.
        note_record(post, context=context, text=reason)
        post_update(post, skipped=skipped, error=reason[:2000])
        # The other host proves sectors that are skipped from now on.
        attempts_cancel(post, context=context, kinds=PROVERS, besides=attempt)
        proof_results_store(post, job=attempt.work, numbers=(), context=context)
        attempt_end(attempt, event="FAIL", context=context, reason=reason)
    if is_fallback_as_good(post):
        fallback_use(post, context=context, why=gettext_noop("they still cannot be read"))


def _has_good_proof(job: Job) -> bool:
    """Return whether a host proved the sectors that it did not report as faulty."""
    if not job.proof:
        return False
    try:
        proof_check(job)
    except BadProof as bad:
        log.warning("bad_proof", job=str(job.uuid), worker=_prover_name(job), reason=str(bad))
        return False
    return True


def _partial_proof_store(
    post: WindowPost,
    attempt: ProofAttempt,
    partial: WindowPost,
    *,
    facts: Sequence[PartitionFacts],
    reason: str,
    context: ProvingContext,
) -> None:
    """Keep a proof that leaves sectors out: as the proof, or as the fallback while a backup prover works.

    `partial` has its columns.  They are written together: what is sent is what was proved.
    """
    job, partial_columns = attempt.work, {"proof": partial.proof, "skipped": partial.skipped}
    partial_columns["partitions"] = partial.partitions
    with transaction.atomic():
        note_record(post, context=context, text=reason)
        numbers = _is_requested(job) - faults_read(job)
        proof_results_store(post, job=job, numbers=numbers, context=context)
        if _may_backup_better(post, partial, context):
            attempt_end(attempt, event="USE", context=context, reason=reason)
            attempt_promote(post, context=context)
            ProofAttempt.objects.create(
                post=post,
                kind=AttemptKind.FALLBACK,
                state=AttemptState.AVAILABLE,
                reason=reason[:300],
                **partial_columns,
            )
            post_update(post, error=reason[:2000])
            return
        post_update(post, skipped=partial.skipped, error=reason[:2000])
        if is_fallback_as_good(post):
            attempts_cancel(post, context=context, kinds=PROVERS, besides=attempt)
            attempt_end(attempt, event="FAIL", context=context, reason=reason)
            fallback_use(post, context=context, why=gettext_noop("they still cannot be read"))
            return
        _unreadable_part(post, facts, covered=partial.partitions, context=context)
        # What is left out of a partition without a proof is no longer this one's: it waits for none of that.
        partial_columns["skipped"] = skipped_of(partial.partitions, skipped=partial.skipped)
        now = {"proved_at": context.now, "updated_at": context.now}
        advance(post, "PROVE", error="", tries=0, try_epoch=None, **partial_columns, **now)
        attempts_cancel(post, context=context, besides=attempt)
        attempt_end(attempt, event="USE", context=context, reason=reason)
    post_publish(post)


def _may_backup_better(post: WindowPost, partial: WindowPost, context: ProvingContext) -> bool:
    """Return whether another host makes the same proof and has time to leave out fewer sectors."""
    return (
        len(running_attempts_list(post)) == 2
        and post.attempt(AttemptKind.FALLBACK) is None
        and partial.partitions == post.partitions
        and context.head.height < partial_proof_epoch_compute(post, network=context.network)
    )


def _proof_store(post: WindowPost, attempt: ProofAttempt, context: ProvingContext) -> None:
    """Keep a good proof; nobody needs to make it any more."""
    job = attempt.work
    with transaction.atomic():
        proof_results_store(post, job=job, numbers=_is_requested(job), context=context)
        if len(running_attempts_list(post)) == 2:
            reason = gettext_noop("using the proof from {host}").format(host=_prover_name(job))
            note_record(post, context=context, text=reason, is_error=False)
        now = {"proved_at": context.now, "updated_at": context.now}
        advance(post, "PROVE", proof=job.proof, error="", tries=0, try_epoch=None, **now)
        attempts_cancel(post, context=context, besides=attempt)
        attempt_end(attempt, event="USE", context=context)
    post_publish(post)


def _is_requested(job: Job) -> set[int]:
    return {sector.number for sector in document_decode(WindowPostInputs, job.inputs).sectors}
