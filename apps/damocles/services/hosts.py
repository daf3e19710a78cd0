"""damocles-workers as hosts: known by the name of their pings and reports, or by where they ask from.

They take no commands of ours: what a person orders is obeyed here, by what they are given.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from typing import Any, Final

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Coalesce

from apps.core.errors import NotAllowed
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.damocles.reasons import AND_FROM, NAMESAKES, NO_SUCH_COMMAND, THREADS_FAIL
from apps.messages.services.recovery.detect import RECOVERY_CHANGE
from apps.sectors.errors.hosts import WorkerRetired, WorkerUnknown
from apps.sectors.models import DAMOCLES, NAMELESS, HostInventory, Job, Worker
from apps.sectors.rules.hardware import PINGS, PLANS
from apps.sectors.selectors.damocles_hosts import damocles_jobs_in_hand
from apps.sectors.selectors.restored import must_register, sectors_recovery
from apps.sectors.services.audit import worker_audit
from apps.sectors.services.hosts.retirement import retirement_lock, worker_retire_if_drained
from apps.sectors.states import JobState
from apps.users.rules.principals import Principal
from poolsite.filecoin.policy import ProofForm
from poolsite.wire.commands import Operation
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import FINAL_STATES

BOOT: Final = "damocles"
"""damocles-workers do not say when they were started."""
NAMED: Final = "damocles:"
PLAN_NOTED_S: Final = 3_600
"""How often it is noted that a worker asks for jobs of a kind."""
TOGETHER: Final = timedelta(seconds=90)
"""Pings of one name from two places within three of their pauses are two processes', where they alternate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """What a worker says of itself every half minute."""

    name: str
    version: str = ""
    threads: int = 0
    errors: int = 0
    """Threads with an error."""
    busy: int | None = None
    """Threads that have a sector, or other work; None: it did not say."""
    dest: str = ""
    """Where it answers itself, as it says."""


@transaction.atomic
def damocles_host_register(principal: Principal, *, name: str = "", now: datetime) -> Worker:
    """Return the row of a damocles-worker, which its first word makes.  Raises WorkerRetired."""
    source = principal.source[:100]
    uid = (f"{NAMED}{name}" if name else f"{NAMELESS}{source}")[:100]
    facts = {
        "name": (name or f"damocles-worker at {source}")[:100],
        "host": source,
        "boot_id": BOOT,
        "kinds": [DAMOCLES],
        "hardware": {"proofs": [ProofForm.GROTH16]},
        "registered_at": now,
        "seen_at": now,
    }
    row, is_new = Worker.objects.get_or_create(tenant_id=principal.own_id, uid=uid, defaults=facts)
    if is_new:
        worker_audit(
            principal, action="worker.register", worker=row, after={"host": source, "kind": DAMOCLES}
        )
    if row.retired_at is not None:
        raise WorkerRetired(row.name)
    return row


def damocles_host_choose(principal: Principal, *, now: datetime) -> Worker | None:
    """Return the host that takes sectors for whoever asks from an address without a name.

    Of those that told their names from there, however long ago, the one heard last of those that take any;
    None where all were paused, drained or retired, as the one that asks is one of them.  Whose a sector is,
    its first report says.  An address that no name was told from has a row of its own.
    """
    own = Worker.objects.filter(tenant_id=principal.own_id, kinds__contains=[DAMOCLES])
    near = list(own.filter(host=principal.source[:100], uid__startswith=NAMED).order_by("-seen_at", "pk"))
    if near:
        return next((worker for worker in near if may_take_work(worker)), None)
    nameless = damocles_host_register(principal, now=now)
    return nameless if may_take_work(nameless) else None


def may_take_work(worker: Worker) -> bool:
    """Return whether a host is to get new sectors and proofs."""
    is_leaving = worker.retired_at is not None or worker.retire_asked_at is not None
    return not (worker.is_paused or worker.is_draining or is_leaving)


@transaction.atomic
def damocles_plan_note(host: Worker, *, kind: str, now: datetime) -> None:
    """Note that a worker asks for jobs of a kind; not each time."""
    at = now.timestamp()
    if at - host.hardware.get(PLANS, {}).get(str(kind), 0) < PLAN_NOTED_S:
        return
    worker = Worker.objects.select_for_update(no_key=True).get(pk=host.pk)
    plans = worker.hardware.get(PLANS, {}) | {str(kind): at}
    worker.hardware = {**worker.hardware, PLANS: plans}
    worker.save(update_fields=["hardware"])


@transaction.atomic
def damocles_ping(principal: Principal, *, ping: Ping, now: datetime) -> None:
    """Note that a worker lives: its leases go on, and what it was told to do counts from here.

    Raises WorkerRetired.
    """
    nameless = Worker.objects.filter(tenant_id=principal.own_id, uid=f"{NAMELESS}{principal.source}"[:100])
    nameless.filter(jobs=None, sticky_jobs=None, damocles_jobs=None).delete()  # the host has its name now
    host = damocles_host_register(principal, name=ping.name, now=now)
    if host.retire_asked_at is not None:
        retirement_lock(host, is_draining=True, is_busy=False)  # the order is carried out below
    worker = Worker.objects.select_for_update(no_key=True).get(pk=host.pk)
    worker.seen_at, worker.host = now, principal.source[:100]
    worker.version = ping.version[:100]
    worker.last_error = THREADS_FAIL(errors=ping.errors, threads=ping.threads) if ping.errors else ""
    busy = _namesakes_note(worker, ping, source=principal.source[:100], now=now)
    _commands_obey(worker, now=now)
    worker.save()
    is_busy = _leases_renew(worker, busy=busy, now=now)
    _disk_note(worker, busy=busy, now=now)
    if host.retire_asked_at is not None:
        worker_retire_if_drained(worker, is_busy=is_busy or _is_proving(worker), now=now)
    publish(Change("worker", worker.pk, worker.tenant_id))


@transaction.atomic
def damocles_pings_forget(principal: Principal, *, name: str) -> None:
    """Forget what a damocles-worker has told of itself until its next ping; its sectors stay its own.

    Raises NotAllowed, WorkerUnknown.
    """
    if principal.is_partial:
        raise NotAllowed(gettext("this token is limited to some miners or signers"))
    own = Worker.objects.filter(tenant_id=principal.own_id, kinds__contains=[DAMOCLES], retired_at=None)
    row = own.select_for_update(no_key=True).filter(uid=f"{NAMED}{name}"[:100]).first()
    if row is None or PINGS not in row.hardware:
        raise WorkerUnknown(name)
    row.hardware = {key: value for key, value in row.hardware.items() if key != PINGS}
    row.last_error = ""
    row.save(update_fields=["hardware", "last_error", "updated_at"])
    worker_audit(
        principal, action="worker.pings-forget", worker=row, before={"seen_at": row.seen_at.isoformat()}
    )
    publish(Change("worker", row.pk, row.tenant_id))


def _namesakes_note(worker: Worker, ping: Ping, *, source: str, now: datetime) -> int | None:
    """Note who pings under a worker's name; return the threads at work of all that do.

    Two processes with one name, each behind an address of its own or both behind one, can be told apart by
    their pings only: a sector that one reports may be the other's, so that somebody must name them.
    """
    place, at = f"{source} {ping.dest}".strip(), now.timestamp()
    known: dict[str, Any] = worker.hardware.get(PINGS, {})
    since = at - TOGETHER.total_seconds()
    others = {name: one for name, one in known.items() if name != place and one["at"] > since}
    before = known.get(place, {}).get("at")
    for one in others.values():
        # A worker that was started again elsewhere never pings from its old place once more.
        one["is_beside"] = one.get("is_beside", False) or (before is not None and before < one["at"])
    beside = {name: one for name, one in others.items() if one["is_beside"]}
    totals = {"dest": ping.dest, "threads": ping.threads, "errors": ping.errors}
    own = {"at": at, "busy": ping.busy, "is_beside": bool(beside), **totals}
    worker.hardware = {**worker.hardware, PINGS: others | {place: own}}
    if not beside:
        return ping.busy
    places = reduce(lambda one, other: AND_FROM(one=one, other=other), sorted((place, *beside)))
    worker.last_error = NAMESAKES(count=len(beside) + 1, name=ping.name, places=places)
    counts = [ping.busy, *(one["busy"] for one in beside.values())]
    return None if None in counts else sum(counts)


def _leases_renew(worker: Worker, *, busy: int | None, now: datetime) -> bool:
    """Prolong the leases of as many sectors as the worker has threads at work, those named last.

    A ping names no sector: one that no thread has any more, as its folder is lost, is not held for ever.
    """
    of_damocles = Q(sector__damocles__begun_at__isnull=False) | Q(damocles__isnull=False)
    leased = Job.objects.filter(of_damocles, worker=worker, state=JobState.LEASED)
    named_at = Coalesce("damocles__named_at", "sector__damocles__named_at")
    newest = leased.order_by(named_at.desc(nulls_last=True), "pk")
    alive = list(newest.values_list("pk", flat=True)[:busy])
    for job in Job.objects.filter(pk__in=alive).select_for_update(of=("self",)).order_by("pk"):
        if job.state == JobState.LEASED and job.worker_id == worker.pk:
            job.lease_until, job.heard_at = now + timedelta(seconds=job.lease_s), now
            job.save(update_fields=["lease_until", "heard_at"])
    return bool(alive)


def _is_proving(worker: Worker) -> bool:
    """Return whether a worker has windows to prove, whose leases its own heartbeats prolong."""
    rows = Job.objects.filter(worker=worker, kind=JobKind.WINDOW_POST, state=JobState.LEASED)
    return rows.exists()


def _disk_note(worker: Worker, *, busy: int | None, now: datetime) -> None:
    """Note, after a restore, that all that a worker has is known: each busy thread has named its sector."""
    recovery = sectors_recovery()
    if recovery is None or busy is None or not must_register(worker, recovery):
        return
    named_since = {
        "sector__damocles__named_at__gte": recovery.sectors_since,
        "sector__damocles__finished_at": None,
    }
    known = Job.objects.filter(sticky_worker=worker, **named_since).exclude(sector__state__in=FINAL_STATES)
    jobs = damocles_jobs_in_hand().filter(worker=worker, named_at__gte=recovery.sectors_since)
    if known.count() + jobs.count() >= busy:
        HostInventory.objects.update_or_create(
            worker=worker, defaults={"told_at": now, "sectors": [], "stored": []}
        )
        publish(RECOVERY_CHANGE)


def _commands_obey(worker: Worker, *, now: datetime) -> None:
    """Carry out what was ordered as far as it can be by giving the worker nothing."""
    for command in worker.commands.filter(done_at=None).order_by("pk"):
        if command.op == Operation.DRAIN:
            worker.is_draining = True
        elif command.op == Operation.PAUSE:
            worker.is_paused = True
        elif command.op == Operation.RESUME:
            worker.is_paused = worker.is_draining = False
        else:
            command.error = NO_SUCH_COMMAND()
        command.done_at = now
        command.save(update_fields=["done_at", "error"])
