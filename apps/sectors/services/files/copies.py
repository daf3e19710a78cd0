"""What is known of sectors' files in stores: kept by sector and store, forgotten once they are others."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from apps.core.live import Change, publish
from apps.sectors.models import Sector, SectorCopy, Store
from apps.sectors.states import CopyCondition
from poolsite.wire.codec import document_encode
from poolsite.wire.store_checks import BAD_FILES, CheckedFile, FileState


def copy_note(sector: Sector, *, store: Store, files: Collection[CheckedFile], now: datetime) -> bool:
    """Save what was found of a sector's files in a store; return whether any is bad."""
    condition = copy_condition_compute(files)
    plain = (FileState.GOOD, FileState.NOTED, FileState.NOT_READ)
    facts: dict[str, Any] = {
        "condition": condition,
        "files": [document_encode(one) for one in files if one.state not in plain],
        "file_count": len(files),
        "size": sum(one.size for one in files),
        "reason": "",
        "checked_at": now,
    }
    _save(sector, store, facts, now=now)
    return condition == CopyCondition.BAD


def copy_mark_unread(sector: Sector, *, store: Store, reason: str, now: datetime) -> None:
    """Save that a host could not look at a sector's files; what was found bad before stays so."""
    bad = SectorCopy.objects.filter(sector=sector, store=store, condition=CopyCondition.BAD)
    if not bad.update(reason=reason, checked_at=now):
        _save(
            sector, store, {"condition": CopyCondition.UNREAD, "reason": reason, "checked_at": now}, now=now
        )


def _save(sector: Sector, store: Store, facts: dict[str, Any], *, now: datetime) -> None:
    SectorCopy.objects.update_or_create(
        sector=sector, store=store, defaults=facts, create_defaults=facts | {"found_at": now}
    )
    publish(Change("sector", str(sector.uuid), sector.tenant_id))


def copy_condition_compute(files: Collection[CheckedFile]) -> CopyCondition:
    """Return what a sector's files are as a whole."""
    states = {one.state for one in files}
    if states & BAD_FILES or not states:
        return CopyCondition.BAD
    return CopyCondition.GOOD if states == {FileState.GOOD} else CopyCondition.NOTED


def copies_forget(sector_id: int, *, store_name: str | None = None) -> None:
    """Delete what was found of a sector in a store, or in all: its files are others now, or gone."""
    found = SectorCopy.objects.filter(sector=sector_id)
    (found if store_name is None else found.filter(store__name=store_name)).delete()
