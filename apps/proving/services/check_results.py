"""What checks of sectors' files have found, stored by sector and store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from django.db import transaction

from apps.chain.node.isolation import for_each_isolated
from apps.core.compiled import Compiled
from apps.core.live import Change, publish
from apps.core.reasons import as_reason, coded, quoted
from apps.core.transitions import advance
from apps.proving.models import CheckRun, Deadline, SectorCheck, WindowPost
from apps.proving.reasons import (
    CHECK_LATE,
    GOOD_COPY,
    JOB_GONE,
    NO_HOST_CHECKS,
    PROOF_INVALID,
    STORE_AWAY,
    UNREAD,
)
from apps.proving.rules.policy import interval_epochs
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.services.jobs import (
    BadProof,
    faults_read,
    job_cancel,
    job_is_lapsed,
    job_strip,
    proof_check,
)
from apps.proving.services.offers import offer_renew
from apps.proving.states import CheckKind, CheckState
from apps.sectors.models import Job, Sector, Store
from apps.sectors.states import JobState


def checks_collect(context: ProvingContext) -> None:
    """End every check whose job has ended."""
    for_each_isolated(
        RUNNING.rows(), lambda run: check_collect(run, context=context), event="check_not_taken"
    )


RUNNING: Final[Compiled[CheckRun]] = Compiled(
    "checks_running",
    lambda: (
        CheckRun.objects.filter(state=CheckState.RUNNING)
        .select_related("miner__tenant", "job__miner")
        .order_by("pk")
    ),
)


def check_collect(run: CheckRun, *, context: ProvingContext) -> None:
    """End a check if its job has ended: what was found is stored, a failure says nothing about the files."""
    job = run.job
    if job is None:
        _fail(run, JOB_GONE(), context)
    elif job.state == JobState.FAILED:
        _fail(run, job.error or NO_HOST_CHECKS(), context)
    elif job_is_lapsed(job, now=context.now):
        job_cancel(job, now=context.now)
        _fail(run, CHECK_LATE(), context)
    elif job.state == JobState.DONE:
        _take(run, job, context)
    elif run.kind == CheckKind.DRY_RUN:
        offer_renew(job, failures=Counter, context=context)


@transaction.atomic
def _fail(run: CheckRun, reason: str, context: ProvingContext) -> None:
    advance(run, "FAIL", error=reason, sectors=[], updated_at=context.now)
    if run.kind == CheckKind.AHEAD:  # a later head begins it anew
        Deadline.objects.filter(miner=run.miner, index=run.deadline_index).update(checked_open=None)
    job_strip(run.job)
    _publish(run)


def _take(run: CheckRun, job: Job, context: ProvingContext) -> None:
    (bad, others), unknown = _counted(run, bad_sectors_read(job)), unreachable_sectors_read(job)
    numbers = [number for number in run.sectors if number not in others | unknown]
    error = "" if bad or run.kind != CheckKind.DRY_RUN or not numbers else _proof_error(job)
    away = STORE_AWAY(numbers=str(sorted(unknown)))
    with transaction.atomic():
        rows = [one | {"reason": str(one["reason"]), "reason_coded": coded(one["reason"])} for one in bad]
        data: dict[str, Any] = {"bad": rows, "sectors": [], "updated_at": context.now}
        data["error"] = error or (away if unknown else "")
        if not run.store:
            run.store = data["store"] = next(iter(job.result.get("stores", ())), "")
        times = {"ms": job.result.get("ms", 0), "read_ms": job.result.get("read_ms", 0)}
        advance(run, "DONE", host=str(job.result.get("worker") or "")[:100], **times, **data)
        if not error:
            results_store(run, bad=bad, numbers=numbers, context=context)
            SectorCheck.objects.filter(miner=run.miner, store=run.store, number__in=others).delete()
        job_strip(job)
    _publish(run)


def bad_sectors_read(job: Job) -> list[dict[str, Any]]:
    """Return number, path and reason of each sector that a finished job found bad."""
    reported = {
        int(one["number"]): one | {"reason": quoted(str(one["reason"]), by="host")}
        for one in job.result.get("bad", ())
    }
    plain = {"path": "", "reason": UNREAD()}
    faults = sorted(faults_read(job) - unreachable_sectors_read(job))
    return [{"number": number, **plain, **reported.get(number, {})} for number in faults]


def unreachable_sectors_read(job: Job) -> set[int]:
    """Return the faults of a finished job of which nothing is known: their store may be away."""
    return {int(number) for number in job.result.get("unreachable", ())}


def _counted(run: CheckRun, bad: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], set[int]]:
    """Return the bad sectors, and the numbers of those that need not lie in this store.

    Those lie in another one by their rows, or in any while no row says where.  A sector's own store is named
    as bad whatever another has: its loss would show only with that copy's.
    """
    rows = Sector.objects.filter(miner=run.miner, number__in=[one["number"] for one in bad])
    lie = dict(rows.exclude(store="").values_list("number", "store"))
    uids = {one.get("elsewhere", "") for one in bad} - {""}
    known = Store.objects.filter(tenant_id=run.miner.tenant_id, uid__in=uids)
    names = dict(known.values_list("uid", "name"))
    counted: list[dict[str, Any]] = []
    others: set[int] = set()
    for one in bad:
        name = names.get(one.pop("elsewhere", ""), "")
        at = lie.get(one["number"], "" if name else run.store)
        if run.store and at != run.store:
            others.add(int(one["number"]))
        elif name:
            reason = GOOD_COPY(reason=_cut(one["reason"]), name=name)
            counted.append(one | {"reason": reason, "good_in": name})
        else:
            counted.append(one)
    return counted, others


def _cut(reason: str) -> str:
    """Return a host's words, cut so that more fits beside them."""
    return quoted(reason[:180], by="host") if len(reason) > 180 else reason


def _proof_error(job: Job) -> str:
    try:
        proof_check(job)
    except BadProof as wrong:
        return PROOF_INVALID(wrong=as_reason(str(wrong)))
    return ""


def results_store(
    run: CheckRun, *, bad: Sequence[dict[str, Any]], numbers: Collection[int], context: ProvingContext
) -> None:
    """Store what a check has found of each sector in its store."""
    height = context.head.height
    in_store = SectorCheck.objects.filter(miner=run.miner, store=run.store)
    known = {row.number: row for row in in_store.filter(is_good=False)}
    found = {int(one["number"]): one for one in bad}
    rows = []
    for number in sorted({*numbers, *found}):
        row = SectorCheck(
            miner=run.miner,
            number=number,
            deadline_index=run.deadline_index,
            store=run.store,
            host=run.host,
            is_good=number not in found,
            checked_at=context.now,
            height=height,
        )
        if number in found:
            row.path, row.reason = found[number]["path"][:300], found[number]["reason"]
            row.good_in = found[number].get("good_in", "")
            before = known.get(number)
            row.bad_since, row.bad_times = height, 1
            if before is not None:
                counts_again = height - before.height >= interval_epochs(context.network.proving)
                row.bad_since, row.bad_times = before.bad_since, before.bad_times + counts_again
                row.height = height if counts_again else before.height
        rows.append(row)
    SectorCheck.objects.bulk_create(
        rows,
        batch_size=1_000,
        update_conflicts=True,
        unique_fields=["miner", "number", "store"],
        update_fields=[
            "deadline_index",
            "host",
            "is_good",
            "path",
            "reason",
            "good_in",
            "checked_at",
            "height",
            "bad_since",
            "bad_times",
        ],
    )


def proof_results_store(
    post: WindowPost, *, job: Job, numbers: Collection[int], context: ProvingContext
) -> None:
    """Keep what a window's proof has found: its bad sectors, and those that were bad and are proved."""
    stores = list(job.result.get("stores", ())) or [""]
    host = str(job.result.get("worker") or "")[:100]
    bad = bad_sectors_read(job)
    lie = dict(
        Sector.objects.filter(miner=post.miner, number__in=[one["number"] for one in bad]).values_list(
            "number", "store"
        )
    )
    for store in stores:
        known_bad = SectorCheck.objects.filter(miner=post.miner, store=store, is_good=False, good_in="")
        cured = set(known_bad.values_list("number", flat=True)) & set(numbers)
        # A sector that lies in none of the host's stores, as far as is known, counts for the first.
        is_first = store == stores[0]
        in_store = [
            one
            for one in bad
            if (known := lie.get(one["number"])) == store or (is_first and known not in stores)
        ]
        if in_store or cured:
            run = CheckRun(miner=post.miner, deadline_index=post.deadline_index, store=store, host=host)
            results_store(run, bad=in_store, numbers=cured, context=context)


def proofs_results_store(
    found: Sequence[tuple[WindowPost, Job]],
    *,
    numbers: Callable[[Job], Collection[int]],
    context: ProvingContext,
) -> None:
    """Keep what some windows' proofs have found; `numbers` returns the sectors that a job has proved.

    Most have found nothing, of miners without a bad sector: that costs one query for all of them.
    """
    bad = SectorCheck.objects.filter(
        miner__in={post.miner_id for post, _ in found}, is_good=False, good_in=""
    )
    miners = set(bad.order_by().values_list("miner_id", flat=True))
    for post, job in found:
        if post.miner_id in miners or faults_read(job):
            proof_results_store(post, job=job, numbers=numbers(job), context=context)


def _publish(run: CheckRun) -> None:
    deadline = run.miner.deadlines.filter(index=run.deadline_index).first()
    if deadline is not None:
        publish(Change("deadline", deadline.pk, run.miner.tenant_id))
