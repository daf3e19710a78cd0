"""Checks of a store, and what they found, as rows."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.languages import list_text
from apps.core.reasons import shown_text
from apps.dashboard.labels import StateLabel
from apps.dashboard.pages.storage.rows import CheckedCell, bytes_text
from apps.sectors.selectors.store_checks import (
    FILE_TEXTS,
    StoreChecked,
    bad_files_text,
    checks_of,
    checks_wait,
    copies_bad_of,
    copies_of,
    copies_page,
)
from apps.sectors.states import CopyCondition, StoreCheckState
from poolsite.wire.store_checks import FileState

if TYPE_CHECKING:
    from apps.sectors.models import Sector, SectorCopy, Store, StoreCheck

CHECKS_SHOWN: Final = 10
BAD_SHOWN: Final = 50
STATES: Final = {
    StoreCheckState.RUNNING: StateLabel("run", _("running")),
    StoreCheckState.DONE: StateLabel("ok", _("done")),
    StoreCheckState.CANCELLED: StateLabel("idle", _("cancelled"), "close"),
    StoreCheckState.FAILED: StateLabel("bad", _("failed")),
}
DIFFER: Final = StateLabel("bad", _("bad files"))
UNREAD: Final = StateLabel("warn", _("not all read"))
WAITS: Final = StateLabel("wait", _("waiting"))
CONDITIONS: Final = {
    CopyCondition.UNREAD: StateLabel("warn", _("not read")),
    CopyCondition.NOTED: StateLabel("ok", _("checksums recorded")),
    CopyCondition.GOOD: StateLabel("ok", _("checksums match")),
    CopyCondition.BAD: StateLabel("bad", _("damaged")),
}


def check_label(check: StoreCheck, wait: str) -> StateLabel:
    """Return where a check is, and what came of one that is done."""
    if check.state == StoreCheckState.DONE and (check.bad or check.unread):
        return DIFFER if check.bad else UNREAD
    return WAITS if wait else STATES[StoreCheckState(check.state)]


def check_row(check: StoreCheck, wait: str) -> dict[str, object]:
    """Lay out one check."""
    of = check.sector
    parts = [
        gettext("{done} of {sectors}").format(
            done=formatting.whole(check.done),
            sectors=formatting.plural(max(check.total, check.done), "sector"),
        ),
        bytes_text(check.read_bytes),
    ]
    if check.bad:
        parts.append(gettext("{bad} with bad files").format(bad=formatting.whole(check.bad)))
    if check.unread:
        parts.append(gettext("{unread} not read").format(unread=formatting.whole(check.unread)))
    return {
        "name": gettext("all sectors") if of is None else f"{of.miner} / {of.number}",
        "label": check_label(check, wait),
        "wait": wait,
        "read": list_text(parts),
        "host": gettext("{worker}, at most {bytes_s} a second").format(
            worker=check.worker.name, bytes_s=bytes_text(check.bytes_s)
        ),
        "error": shown_text(check.error),
        "at": check.updated_at,
        "is_bad": bool(check.bad),
        "cancel": reverse("store-check-cancel", args=[check.store.uuid, check.uuid])
        if check.state == StoreCheckState.RUNNING
        else "",
    }


def checked_cell(checked: StoreChecked) -> CheckedCell:
    """Lay out what checks say of a store as a whole."""
    running = checked.running
    label, text = None, ""
    if running is not None:
        label = check_label(running, checked.wait)
        of = formatting.plural(max(running.total, running.done), "sector")
        done = formatting.whole(running.done)
        text = checked.wait or gettext("{done} of {sectors} checked").format(done=done, sectors=of)
    bad = StateLabel("bad", _("{count} bad").format(count=checked.text)) if checked.bad else None
    return CheckedCell(bad, label, text, checked.done_at)


def check_rows(store: Store, *, at: datetime) -> tuple[dict[str, object], ...]:
    """Lay out the newest checks of a store."""
    checks = list(checks_of(store)[:CHECKS_SHOWN])
    waits = checks_wait(checks, now=at)
    return tuple(check_row(check, waits[check.pk]) for check in checks)


def bad_rows(store: Store) -> tuple[tuple[dict[str, object], ...], str]:
    """Lay out the first sectors in a store whose files are damaged, and count all."""
    bad = copies_bad_of([store]).get(store.pk)
    if bad is None:
        return (), ""
    return tuple(
        {
            "name": f"{row.sector.miner} / {row.sector.number}",
            "href": reverse("sector", args=[row.sector.uuid]),
            "text": shown_text(bad_files_text(row)),
            "at": row.checked_at,
        }
        for row in copies_page(store, condition=CopyCondition.BAD, limit=BAD_SHOWN)
    ), bad.text


def copy_row(copy: SectorCopy) -> dict[str, object]:
    """Lay out a sector's files in one store."""
    bad = [f"{one['name']} {gettext(FILE_TEXTS[FileState(one['state'])])}" for one in copy.files]
    return {
        "store": copy.store.name,
        "href": reverse("store", args=[copy.store.uuid]),
        "is_counted": copy.sector.store == copy.store.name,
        "label": CONDITIONS[CopyCondition(copy.condition)],
        "files": [*bad, *filter(None, [shown_text(copy.reason)])],
        "count": list_text((formatting.plural(copy.file_count, "file"), bytes_text(copy.size))),
        "at": copy.checked_at or copy.found_at,
    }


def copy_rows(sector: Sector) -> tuple[dict[str, object], ...]:
    """Lay out what is known of a sector's files, by store."""
    return tuple(copy_row(copy) for copy in copies_of(sector))
