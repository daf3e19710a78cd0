"""Sectors whose files a store lost: their rows name it no more, once its host has looked twice."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from django.db import connection

from apps.core.errors import DomainError
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.reasons import refused
from apps.sectors.models import Sector, StoreFinding, WorkerCommand
from apps.sectors.reasons import CHANGED_MEANWHILE, FILES_THERE, MISSING_IN, NOT_REPORTED, RECORD_GONE, SECTOR
from apps.sectors.services.files.copies import copies_forget
from apps.sectors.services.sealing.steps import job_lock
from apps.sectors.services.stores.events import event_write
from apps.sectors.services.stores.moves import changes_open, unchanged_lock
from apps.sectors.services.timeline import job_event_write
from apps.sectors.states import FindingKind
from poolsite.wire.pipeline import SectorState
from poolsite.wire.store_checks import CheckedFile, FileState

FILES_MISSING: Final = "FILES_MISSING"
"""Event of a sector, and of the store that its row named."""


def missing_plan(findings: Sequence[StoreFinding]) -> dict[int, str]:
    """Return by finding why its sector's row goes on to name the store; empty: its host looks once more."""
    changes = changes_open([one.sector for one in findings if one.sector is not None])
    return {one.pk: _refusal(one, changes) for one in findings}


def _refusal(finding: StoreFinding, changes: dict[int, str]) -> str:
    sector, store = finding.sector, finding.store
    if finding.kind != FindingKind.MISSING or sector is None:
        return gettext("it is not a missing sector")
    if sector.tenant_id != store.tenant_id or sector.store != store.name:
        return gettext("it is no longer recorded in this store")
    if sector.state != SectorState.PROVING or sector.removal_asked_at is not None or not sector.comm_r:
        return gettext("it is not proving")
    return changes.get(sector.pk, "")


def missing_store_remove(
    finding: StoreFinding, *, order: WorkerCommand, files: Collection[CheckedFile] | None, now: datetime
) -> str:
    """Return why a sector keeps its store; empty: its host missed files again, so the store was removed."""
    assert connection.in_atomic_block, "the sector's lock ends with its transaction"
    if files is None:
        return NOT_REPORTED()
    if all(one.state != FileState.MISSING for one in files):
        return FILES_THERE()
    if finding.sector is None:
        return RECORD_GONE()
    job, sector = job_lock(finding.sector.pk)
    try:
        unchanged_lock(sector)
    except DomainError as error:
        return refused(error)
    is_same = bytes(sector.comm_r or b"").hex() == order.args.get("comm_r")
    is_same &= sector.store == finding.store.name and sector.tenant_id == finding.store.tenant_id
    if not is_same or sector.state != SectorState.PROVING or sector.removal_asked_at is not None:
        return CHANGED_MEANWHILE()
    # `lost_uid` stays empty: the store is attached, and its next scan would name it again.
    Sector.objects.filter(pk=sector.pk).update(store="", files_lost_at=now, updated_at=now)
    copies_forget(sector.pk, store_name=finding.store.name)
    note = MISSING_IN(store=finding.store.name)
    job_event_write(job, event=FILES_MISSING, now=now, actor=order.actor, note=note)
    event_write(
        finding.store,
        event=FILES_MISSING,
        actor=order.actor,
        note=SECTOR(sector=finding.name),
        now=now,
    )
    publish(Change("sector", str(sector.uuid), sector.tenant_id))
    return ""
