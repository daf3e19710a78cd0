"""Reads of checks of files: how far they are, and what was found of each sector in each store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db.models import F, Q

from apps.core.errors import BadValue
from apps.sectors.errors import CheckUnknown
from apps.sectors.host_selectors import is_uuid, worker_is_away
from apps.sectors.states import CopyCondition, StoreCheckState
from apps.sectors.store_check_models import SectorCopy, StoreCheck
from apps.sectors.store_models import StoreAttachment
from poolsite.wire.pipeline import SectorState
from poolsite.wire.store_checks import BAD_FILES, FileState
from poolsite.wire.stores import READABLE

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from django.db.models import QuerySet

    from apps.sectors.models import Sector
    from apps.sectors.store_models import Store

BAD_COUNTED_MAX: Final = 1_000
"""Damaged sectors that are counted."""
COPIES_SHOWN: Final = 50
FILES_NAMED: Final = 3
"""Bad files of a sector that are named."""
ENDED: Final = (SectorState.ABORTED, SectorState.TERMINATED)
FILE_WORDS: Final = {
    FileState.GOOD: "is as recorded",
    FileState.NOTED: "is recorded now",
    FileState.NOT_KEPT: "was read, its sum cannot be recorded: the store cannot be written",
    FileState.NOT_READ: "is there",
    FileState.DIFFERS: "has another sum than was recorded",
    FileState.MISSING: "is missing",
    FileState.WRONG_SIZE: "has a wrong size",
    FileState.UNREADABLE: "cannot be read",
    FileState.WRONG_COMM_R: "makes another comm_r than the sector has",
}


def checks_of(store: Store) -> QuerySet[StoreCheck]:
    """Return the checks of a store's files, the newest first."""
    return store.checks.select_related("store", "worker", "sector__miner").order_by("-pk")


def check_get(store: Store, uuid: str) -> StoreCheck:
    """Return one check of a store.  Raises CheckUnknown."""
    check = checks_of(store).filter(uuid=uuid).first() if is_uuid(uuid) else None
    if check is None:
        raise CheckUnknown(uuid)
    return check


def check_wait(check: StoreCheck, *, now: datetime) -> str:
    """Return what a running check waits for; empty: for nothing."""
    if check.state != StoreCheckState.RUNNING:
        return ""
    if worker_is_away(check.worker, now=now):
        return f"waits for {check.worker.name}, which is away"
    here = StoreAttachment.objects.filter(worker=check.worker_id, store=check.store_id)
    if not here.filter(condition__in=READABLE).exists():
        return f"waits until {check.worker.name} reads {check.store.name} again"
    if check.waits_until is not None and now < check.waits_until:
        return "tries again in a moment"
    return ""


def copies_page(
    store: Store, *, condition: str = "", before: int | None = None, limit: int
) -> list[SectorCopy]:
    """Return a page of what was found in a store, the newest row first, older than `before`.

    Raises BadValue.
    """
    if condition and condition not in CopyCondition.values:
        raise BadValue(f"must be one of {', '.join(CopyCondition.values)}", field="condition")
    rows = _living().filter(store=store).order_by("-pk")
    if condition:
        rows = rows.filter(condition=condition)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return list(rows[:limit])


def copies_bad_of(stores: Collection[Store]) -> dict[int, list[SectorCopy]]:
    """Return the copies that a check found damaged, by the row of their store; so many that one is beyond
    `BAD_COUNTED_MAX` at most.
    """
    found: dict[int, list[SectorCopy]] = {}
    if not stores:
        return found
    rows = _living().filter(condition=CopyCondition.BAD, store__in=[one.pk for one in stores])
    for row in rows.order_by("store", "pk")[: BAD_COUNTED_MAX + 1]:
        found.setdefault(row.store_id, []).append(row)
    return found


def copies_of(sector: Sector) -> list[SectorCopy]:
    """Return what is known of a sector's files, by store."""
    rows = _living().filter(sector=sector).order_by("store__name")
    return list(rows[:COPIES_SHOWN])


def _living() -> QuerySet[SectorCopy]:
    """Return the copies of sectors that have not ended, in stores of their own tenant."""
    over = Q(sector__state__in=ENDED) | Q(sector__removal_asked_at__isnull=False)
    rows = SectorCopy.objects.filter(sector__tenant_id=F("store__tenant_id")).exclude(over)
    return rows.select_related("store", "sector__miner")


def bad_files_text(copy: SectorCopy) -> str:
    """Return which of a copy's files are bad, and how."""
    bad = [one for one in copy.files if one["state"] in BAD_FILES]
    words = [f"{one['name']} {FILE_WORDS[FileState(one['state'])]}" for one in bad[:FILES_NAMED]]
    return "; ".join(words) + (f"; {len(bad) - FILES_NAMED} more" if len(bad) > FILES_NAMED else "")
