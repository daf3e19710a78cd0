"""The results of the jobs of windows' proofs: checked, kept, or made again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import structlog
from django.db import transaction
from django.utils.translation import gettext_noop

from apps.chain.node.isolation import for_each_isolated, rows_isolated, together_isolated
from apps.core.errors import LostRace
from apps.core.reasons import MARKED, as_reason
from apps.core.transitions import advance, advance_many, columns_set
from apps.miners.onchain.partition_facts import PartitionFacts, partitions_read
from apps.proving.models import ProofAttempt, WindowPost
from apps.proving.reasons import (
    FILES_UNREAD,
    INVALID_PROOF,
    NO_PROOF_MADE,
    NOTHING_READ,
    OUTSIDE_SECTORS,
    PROOF_FROM,
    PROVING_SEPARATELY,
    STILL_UNREAD,
    UNCLAIMED,
)
from apps.proving.rules.proof_coverage import (
    proof_order_build,
    skipped_add,
    skipped_of,
)
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.services.attempts import (
    PROVERS,
    attempt_cancel,
    attempt_collect,
    attempt_end,
    attempt_fail,
    attempt_promote,
    attempts_cancel,
    attempts_use,
    running_attempts_list,
)
from apps.proving.services.check_results import proof_results_store, proofs_results_store
from apps.proving.services.fault_rechecks import fallback_use, is_fallback_as_good
from apps.proving.services.jobs import (
    BadProof,
    faults_read,
    job_is_lapsed,
    proof_check,
)
from apps.proving.services.offers import has_other_host
from apps.proving.services.post_updates import NOT_MOVED, post_publish, post_update, posts_publish
from apps.proving.services.proof_orders import Order, jobs_create, order_find, unreadable_part_separate
from apps.proving.services.retries import note_record, partial_proof_epoch_compute
from apps.proving.services.windows import post_split
from apps.proving.states import AttemptKind, AttemptState, PostState
from apps.sectors.models import Job
from apps.sectors.states import JobState
from poolsite.wire.codec import document_decode
from poolsite.wire.job_inputs import WindowPostInputs

log = structlog.get_logger(__name__)


def posts_prove(posts: Sequence[WindowPost], *, context: ProvingContext) -> None:
    """Create jobs, or collect the results of those that are finished, while they can still land."""
    good: list[tuple[WindowPost, ProofAttempt]] = []
    collected = rows_isolated(
        posts, lambda post: _attempt_collect(post, good=good, context=context), event=NOT_MOVED
    )
    _proofs_store(good, context)
    made = {post for post, _ in good}
    wanted: list[Order] = []
    for_each_isolated(
        [post for post in collected if post not in made and post.state == PostState.PROVING],
        lambda post: wanted.extend(order_find(post, context=context)),
        event=NOT_MOVED,
    )
    together_isolated(wanted, partial(jobs_create, context=context), event=NOT_MOVED)


def _attempt_collect(
    post: WindowPost, *, good: list[tuple[WindowPost, ProofAttempt]], context: ProvingContext
) -> None:
    """See to an attempt that has ended or that nobody may claim any more; its failure counts as a try.

    Adds it to `good` if its proof is to be kept.
    """
    attempt = attempt_collect(post)
    if attempt is None:
        first = post.attempt(AttemptKind.FIRST)
        if first is not None and job_is_lapsed(first.work, now=context.now):
            # A job's time runs by the clock, the window by epochs: the chain or the clock jumped.
            attempt_cancel(post, attempt=first, context=context, reason=UNCLAIMED())
            post_publish(post)
    elif attempt.work.state == JobState.DONE:
        if _is_good(post, attempt, context):
            good.append((post, attempt))
    else:
        with transaction.atomic():
            attempt_fail(
                post,
                attempt=attempt,
                context=context,
                reason=NO_PROOF_MADE(error=as_reason(attempt.work.error)),
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
            text=PROVING_SEPARATELY(partition=post.partitions[0], error=as_reason(post.error)),
        )


def _is_good(post: WindowPost, attempt: ProofAttempt, context: ProvingContext) -> bool:
    """Check a finished job: its faulty sectors are skipped, a bad proof is made again.

    Returns whether it is a proof of all that was asked for.
    """
    job = attempt.work
    faults = faults_read(job)
    if faults:
        _faults_collect(post, attempt, faults, context)
        return False
    try:
        proof_check(job)
    except BadProof as bad:
        host = _prover_name(job)
        log.warning("bad_proof", post=str(post.uuid), worker=host, reason=str(bad))
        attempt_fail(
            post,
            attempt=attempt,
            context=context,
            reason=INVALID_PROOF(host=host, bad=as_reason(str(bad))),
        )
        return False
    return True


def _prover_name(job: Job) -> str:
    """Return whose result a job has; a proof counts that comes after its lease, if nobody else has begun."""
    return str(job.result.get("worker") or "") or MARKED(text=gettext_noop("a host with an expired lease"))


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
            reason=NOTHING_READ(host=host),
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
            reason=OUTSIDE_SECTORS(host=host),
        )
        return
    reason = FILES_UNREAD(faults=str(sorted(faults)))
    partial = WindowPost(partitions=post.partitions, skipped=skipped)
    order, partial.partitions = proof_order_build(facts, post=partial)
    if set(order) == requested - faults and _has_good_proof(attempt.work):
        partial.proof = attempt.work.proof
        _partial_proof_store(post, attempt, partial, facts=facts, reason=reason, context=context)
        return
    with transaction.atomic():
        # This counts as progress, not as a failed try: the next proof, without them, goes out at once.
        note_record(post, context=context, text=reason)
        post_update(post, skipped=skipped, error=reason)
        # The other host proves sectors that are skipped from now on.
        proof_results_store(post, job=attempt.work, numbers=(), context=context)
        attempts_cancel(post, context=context, kinds=PROVERS, besides=attempt)
        attempt_end(attempt, event="FAIL", context=context, reason=reason)
    if is_fallback_as_good(post):
        fallback_use(post, context=context, why=STILL_UNREAD())


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
        is_kept_back = _may_backup_better(post, partial, context)
        # Its row before all that belongs to it.
        post_update(post, error=reason, **({} if is_kept_back else {"skipped": partial.skipped}))
        proof_results_store(post, job=job, numbers=numbers, context=context)
        if is_kept_back:
            attempt_end(attempt, event="USE", context=context, reason=reason)
            attempt_promote(post, context=context)
            ProofAttempt.objects.create(
                post=post,
                kind=AttemptKind.FALLBACK,
                state=AttemptState.AVAILABLE,
                reason=reason,
                **partial_columns,
            )
            return
        if is_fallback_as_good(post):
            attempts_cancel(post, context=context, kinds=PROVERS, besides=attempt)
            attempt_end(attempt, event="FAIL", context=context, reason=reason)
            fallback_use(post, context=context, why=STILL_UNREAD())
            return
        unreadable_part_separate(post, facts=facts, covered=partial.partitions, context=context)
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


def _proofs_store(good: Sequence[tuple[WindowPost, ProofAttempt]], context: ProvingContext) -> None:
    """Keep good proofs; nobody needs to make them any more."""
    alone = [(post, attempt) for post, attempt in good if len(post.attempts_open()) == 1]
    together_isolated(alone, partial(_lone_proofs_store, context=context), event=NOT_MOVED)
    for_each_isolated(
        [one for one in good if one not in alone],
        lambda one: _proof_store(*one, context=context),
        event=NOT_MOVED,
    )


def _lone_proofs_store(good: Sequence[tuple[WindowPost, ProofAttempt]], context: ProvingContext) -> None:
    """Keep proofs beside which nothing else was tried."""
    attempts = [attempt for _, attempt in good]
    data = {"error": "", "tries": 0, "try_epoch": None, "proved_at": context.now, "updated_at": context.now}
    with transaction.atomic():
        proofs = {post.pk: {"proof": attempt.work.proof} for post, attempt in good}
        moved = advance_many(WindowPost, "PROVE", proofs, returning="state", **data)
        for post, _ in good:
            if post.pk not in moved:
                raise LostRace(post, "PROVE")
        found = [(post, attempt.work) for post, attempt in good]
        proofs_results_store(found, numbers=_is_requested, context=context)
        attempts_use(attempts, context=context)
    for post, attempt in good:
        columns_set(post, state=moved[post.pk], proof=attempt.work.proof, **data)
        columns_set(attempt, state=AttemptState.USED)
    posts_publish([post for post, _ in good])


def _proof_store(post: WindowPost, attempt: ProofAttempt, context: ProvingContext) -> None:
    """Keep a good proof, and cancel what else was tried for it."""
    job = attempt.work
    with transaction.atomic():
        if len(running_attempts_list(post)) == 2:
            reason = PROOF_FROM(host=_prover_name(job))
            note_record(post, context=context, text=reason, is_error=False)
        now = {"proved_at": context.now, "updated_at": context.now}
        advance(post, "PROVE", proof=job.proof, error="", tries=0, try_epoch=None, **now)
        proof_results_store(post, job=job, numbers=_is_requested(job), context=context)
        attempts_cancel(post, context=context, besides=attempt)
        attempt_end(attempt, event="USE", context=context)
    post_publish(post)


def _is_requested(job: Job) -> set[int]:
    return {sector.number for sector in document_decode(WindowPostInputs, job.inputs).sectors}
