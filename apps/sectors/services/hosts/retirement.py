"""Taking a host out of service: drained first, then refused, its token revoked; its row stays."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext_noop

from apps.core.formatting import plural, plural_kept
from apps.core.live import Change, publish
from apps.sectors.errors.hosts import WorkerBusy
from apps.sectors.models import Job, Worker, WorkerCommand
from apps.sectors.reasons import WORKER_RETIRED
from apps.sectors.selectors.damocles_hosts import damocles_jobs_in_hand
from apps.sectors.selectors.hosts import worker_is_away
from apps.sectors.services.audit import worker_audit
from apps.sectors.services.jobs.leases import leases_end
from apps.sectors.services.roles.labels import worker_labels_lock, worker_labels_sync
from apps.sectors.services.stores.checks import checks_end
from apps.sectors.services.stores.finding_results import findings_end
from apps.sectors.services.stores.moves import moves_end
from apps.sectors.services.stores.scans import scans_end
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_entries_record
from apps.users.services.join_tokens import host_token_revoke
from poolsite.wire.commands import Operation
from poolsite.wire.pipeline import FINAL_STATES


@transaction.atomic
def worker_retire_now(worker: Worker, *, now: datetime, by: Principal, is_forced: bool) -> None:
    """Retire a worker that is away or has nothing in progress; forced, also one that has.

    Raises WorkerBusy.
    """
    left = unfinished_jobs_count(worker)
    if left and not is_forced and not worker_is_away(worker, now=now):
        raise WorkerBusy(worker.name, plural(left, "sector"))
    worker_retire(worker, now=now, by=by, left=left)


@transaction.atomic
def worker_retire(worker: Worker, *, now: datetime, by: Principal | None = None, left: int = 0) -> None:
    """Retire a worker now: its leases end, its uid is refused from now on, its own token is revoked.

    `left` is how many sectors it leaves in progress, for the audit log.

    The roles that its machine has by this worker's group go to others of the group.
    """
    roles = worker_labels_sync(worker, group="", by=by, now=now)
    row = Worker.objects.select_for_update(of=("self",), no_key=True).get(pk=worker.pk)
    ended = leases_end(row, now=now, reason=WORKER_RETIRED())
    moves_end(row, now=now)
    checks_end(row, now=now)
    findings_end(row, now=now)
    scans_end(row, now=now)
    is_revoked = host_token_revoke(tenant_id=row.tenant_id, uid=row.uid)
    after = {
        "retired": True,
        "token": "revoked" if is_revoked else "created on the Tokens page: revoke it there",
    }
    if left:
        after["unfinished"] = plural_kept(left, "sector")
    worker_audit(
        by,
        action="worker.retire",
        worker=row,
        before={"leases": gettext_noop("{count} jobs").format(count=ended)},
        after=after,
    )
    audit_entries_record(roles)
    row.retired_at = now
    row.save(update_fields=["retired_at", "updated_at"])
    publish(Change("worker", row.pk, row.tenant_id))


@transaction.atomic
def worker_retire_drained(
    worker: Worker, *, actor: str, now: datetime, by: Principal | None = None
) -> WorkerCommand:
    """Drain a worker, and retire it then."""
    row = Worker.objects.select_for_update(of=("self",), no_key=True).get(pk=worker.pk)
    row.retire_asked_at = row.retire_asked_at or now
    row.save(update_fields=["retire_asked_at", "updated_at"])
    command = WorkerCommand.objects.create(worker=row, op=Operation.DRAIN, actor=actor)
    worker_audit(
        by,
        action="worker.retire_drained",
        worker=row,
        after={"retired": gettext_noop("once it has no work left")},
    )
    publish(Change("worker", row.pk, row.tenant_id))
    return command


def retirement_cancel(worker: Worker) -> None:
    """Cancel the retirement of a worker."""
    Worker.objects.filter(pk=worker.pk).update(retire_asked_at=None)


def unfinished_jobs_count(worker: Worker) -> int:
    """Count the sectors under way whose files lie on this host alone, and a damocles-worker's other jobs."""
    sealing = Job.objects.filter(sticky_worker=worker).exclude(sector__state__in=FINAL_STATES)
    return sealing.count() + damocles_jobs_in_hand().filter(worker=worker).count()


def retirement_lock(worker: Worker, *, is_draining: bool, is_busy: bool) -> None:
    """Lock the roles of a worker that may be retired at the end of this transaction."""
    if worker.retire_asked_at is not None and is_draining and not is_busy:
        worker_labels_lock(worker, group="")


def worker_retire_if_drained(worker: Worker, *, is_busy: bool, now: datetime) -> bool:
    """Retire a worker that is drained, has nothing left, and is to be retired; gives whether it was."""
    if worker.retire_asked_at is None or not worker.is_draining or is_busy or unfinished_jobs_count(worker):
        return False
    requested = Worker.objects.filter(pk=worker.pk, retire_asked_at__isnull=False)
    if not requested.select_for_update(no_key=True).exists():  # it was cancelled since the row was read
        return False
    worker_retire(worker, now=now)
    return True
