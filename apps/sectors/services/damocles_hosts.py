"""damocles-workers as hosts: known by the name of their pings and reports, or by where they ask from.

They take no commands of ours: what a person orders is obeyed here, by what they are given.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db import transaction

from apps.core.live import Change, publish
from apps.sectors.errors import WorkerRetired
from apps.sectors.host_models import DAMOCLES, Worker
from apps.sectors.models import Job
from apps.sectors.policy import sealing_policy
from apps.sectors.services.audit import worker_audit
from apps.sectors.services.retirement import retire_when_drained
from apps.sectors.states import JobState
from poolsite.filecoin.policy import ProofForm
from poolsite.wire.hosts import Operation

if TYPE_CHECKING:
    from datetime import datetime

    from apps.users.principals import Principal

BOOT: Final = "damocles"
"""damocles-workers do not say when they were started."""
PLACE: Final = "damocles-at:"
"""How the uid of a worker begins that has not told its name yet."""
NAMED: Final = "damocles:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """What a worker says of itself every half minute."""

    name: str
    version: str = ""
    threads: int = 0
    errors: int = 0
    """Threads with an error."""


def damocles_host(principal: Principal, *, name: str = "", now: datetime) -> Worker:
    """Return the row of a damocles-worker, which its first word makes.  Raises WorkerRetired.

    Without a name one that pinged from the same address lately, of several one that takes sectors: whose the
    sector is, its first report says.
    """
    source = principal.source[:100]
    mine = Worker.objects.filter(tenant_id=principal.own_id, kinds__contains=[DAMOCLES])
    if not name:
        heard = now - timedelta(seconds=2 * sealing_policy().worker_away_s)
        near = mine.filter(host=source, uid__startswith=NAMED, seen_at__gte=heard, retired_at=None)
        found = near.order_by("is_draining", "is_paused", "pk").first()
        if found is not None:
            return found
    uid = (f"{NAMED}{name}" if name else f"{PLACE}{source}")[:100]
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
        worker_audit(principal, "worker.register", row, after={"host": source, "kind": DAMOCLES})
    if row.retired_at is not None:
        raise WorkerRetired(row.name)
    return row


@transaction.atomic
def damocles_ping(principal: Principal, ping: Ping, *, now: datetime) -> None:
    """Note that a worker lives: its leases go on, and what it was told to do counts from here.

    Raises WorkerRetired.
    """
    worker = Worker.objects.select_for_update().get(pk=damocles_host(principal, name=ping.name, now=now).pk)
    worker.seen_at, worker.host = now, principal.source[:100]
    worker.version = ping.version[:100]
    worker.last_error = f"{ping.errors} of {ping.threads} threads have an error" if ping.errors else ""
    _commands_obey(worker, now=now)
    worker.save()
    held = Job.objects.filter(worker=worker, state=JobState.LEASED, sector__damocles__begun_at__isnull=False)
    is_busy = False
    for job in held.select_for_update(of=("self",)).order_by("pk"):
        is_busy = True
        job.lease_until, job.heard_at = now + timedelta(seconds=job.lease_s), now
        job.save(update_fields=["lease_until", "heard_at"])
    retire_when_drained(worker, is_busy=is_busy, now=now)
    nameless = Worker.objects.filter(tenant_id=worker.tenant_id, uid=f"{PLACE}{worker.host}"[:100])
    nameless.filter(jobs=None, sticky_jobs=None).delete()  # it has its name now
    publish(Change("worker", worker.pk, worker.tenant_id))


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
            command.error = "a damocles-worker does not take this order"
        command.done_at = now
        command.save(update_fields=["done_at", "error"])
