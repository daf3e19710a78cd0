"""What a host made of its orders over what a scan found: adopted, removed, or why not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Final

from django.db import transaction

from apps.core.errors import DomainError
from apps.core.live import Change, publish
from apps.core.reasons import COLON, MARKED, clauses, quoted, refused
from apps.core.transitions import advance
from apps.core.uuids import is_uuid
from apps.sectors.models import Sector, StoreFinding, Worker, WorkerCommand
from apps.sectors.reasons import (
    CHANGED_MEANWHILE,
    FILES_IN,
    FILES_MOVED,
    FILES_NONE,
    ITS_HOST_RETIRED,
    LEFTOVER,
    NOT_REPORTED,
    RECORD_GONE,
    SECTOR,
)
from apps.sectors.services.files.copies import copies_forget, copy_condition_compute
from apps.sectors.services.sealing.steps import job_lock
from apps.sectors.services.stores.events import event_write
from apps.sectors.services.stores.findings import findings_lock
from apps.sectors.services.stores.missing_files import missing_store_remove
from apps.sectors.services.stores.moves import unchanged_lock
from apps.sectors.services.timeline import job_event_write
from apps.sectors.states import CopyCondition, FindingKind, FindingState
from poolsite.wire.commands import Operation
from poolsite.wire.pipeline import SectorState
from poolsite.wire.store_checks import BAD_FILES, CheckedFile, CheckedSector

ADOPTED: Final = "ADOPTED"
"""Event of a store, and of a sector whose row names it from now on."""
LEFTOVER_REMOVED: Final = "LEFTOVER_REMOVED"


def findings_note(
    worker: Worker,
    *,
    done: Collection[str],
    checked: Iterable[CheckedSector],
    errors: Mapping[str, str],
    now: datetime,
) -> None:
    """Follow what a host says of findings; what it repeats finds no order any more."""
    orders = worker.commands.filter(uuid__in=done, done_at=None, args__has_key="finding")
    orders = orders.filter(op__in=(Operation.CHECK_SECTOR, Operation.REMOVE_LEFTOVER))
    known = {str(one.args["finding"]): one for one in orders}
    if not known:
        return
    reported = {one.command: one.files for one in checked}
    rows = StoreFinding.objects.filter(uuid__in=[*filter(is_uuid, known)], store__tenant_id=worker.tenant_id)
    for finding in findings_lock(rows.values_list("pk", flat=True)):
        order = known[str(finding.uuid)]
        error = quoted(errors.get(str(order.uuid), ""), by="host")
        if order.op == Operation.REMOVE_LEFTOVER and finding.state == FindingState.REMOVING:
            _removed(finding, worker, error=error, now=now)
        elif finding.kind == FindingKind.MISSING and finding.state == FindingState.CHECKING:
            error = error or missing_store_remove(
                finding, order=order, files=reported.get(str(order.uuid)), now=now
            )
            advance(finding, "REFUSE" if error else "DROP", error=error, updated_at=now)
            publish(Change("store", str(finding.store.uuid), worker.tenant_id))
        elif order.op == Operation.CHECK_SECTOR and finding.state == FindingState.CHECKING:
            error = error or _files_refusal(reported.get(str(order.uuid))) or _adopt(finding, order, now=now)
            advance(finding, "REFUSE" if error else "ADOPT", error=error, updated_at=now)
            publish(Change("store", str(finding.store.uuid), worker.tenant_id))
    orders.delete()


def _files_refusal(files: Collection[CheckedFile] | None) -> str:
    """Return why files that a host has looked at are not a sector's; empty: they are."""
    if files is None:
        return NOT_REPORTED()
    bad = [
        COLON(one=one.name, other=MARKED(text=str(one.state).replace("_", " ").lower()))
        for one in files
        if one.state in BAD_FILES
    ]
    return clauses(*bad) or (FILES_NONE() if copy_condition_compute(files) == CopyCondition.BAD else "")


def _adopt(finding: StoreFinding, order: WorkerCommand, *, now: datetime) -> str:
    """Record the store in the sector's row; return why not, or an empty text."""
    if finding.sector is None:
        return RECORD_GONE()
    job, sector = job_lock(finding.sector.pk)
    try:
        unchanged_lock(sector)
    except DomainError as error:
        return refused(error)
    is_same = bytes(sector.comm_r or b"").hex() == order.args.get("comm_r")
    is_same &= sector.store == order.args.get("store") and sector.tenant_id == finding.store.tenant_id
    if not is_same or sector.state != SectorState.PROVING:
        return CHANGED_MEANWHILE()
    name, before = finding.store.name, sector.store
    Sector.objects.filter(pk=sector.pk).update(store=name, files_lost_at=None, lost_uid="", updated_at=now)
    copies_forget(sector.pk, store_name=name)
    copies_forget(sector.pk, store_name=before)
    note = FILES_MOVED(store=name, before=before) if before else FILES_IN(store=name)
    job_event_write(job, event=ADOPTED, now=now, actor=order.actor, note=note)
    event_write(
        finding.store,
        event=ADOPTED,
        actor=order.actor,
        note=SECTOR(sector=finding.name),
        now=now,
    )
    publish(Change("sector", str(sector.uuid), sector.tenant_id))
    return ""


def _removed(finding: StoreFinding, worker: Worker, *, error: str, now: datetime) -> None:
    advance(finding, "FAIL" if error else "END", error=error, updated_at=now)
    if not error:
        if finding.sector is not None:
            copies_forget(finding.sector.pk, store_name=finding.store.name)
        note = LEFTOVER(sector=finding.name, size=finding.size)
        event_write(finding.store, event=LEFTOVER_REMOVED, actor=worker.name, note=note, now=now)
    publish(Change("store", str(finding.store.uuid), worker.tenant_id))


@transaction.atomic
def findings_end(worker: Worker, *, now: datetime) -> None:
    """Withdraw what a host was told to do with findings, as it is retired."""
    orders = worker.commands.filter(done_at=None, args__has_key="finding")
    uuids = [str(one.args["finding"]) for one in orders]
    for finding in findings_lock(StoreFinding.objects.filter(uuid__in=uuids).values_list("pk", flat=True)):
        if finding.state in (FindingState.CHECKING, FindingState.REMOVING):
            event = "REFUSE" if finding.state == FindingState.CHECKING else "FAIL"
            advance(finding, event, error=ITS_HOST_RETIRED(), updated_at=now)
    orders.delete()
