"""What hosts found of sectors' files in the checks of a store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from apps.core.live import Change, publish
from apps.core.reasons import quoted
from apps.core.uuids import is_uuid
from apps.sectors.models import Sector, StoreCheck, Worker, WorkerCommand
from apps.sectors.reasons import MOVED_HERE, NOT_REPORTED
from apps.sectors.selectors.moves import moved_meanwhile
from apps.sectors.services.files.copies import (
    copies_forget,
    copy_condition_compute,
    copy_mark_unread,
    copy_note,
)
from apps.sectors.states import ENDED_SECTORS, CopyCondition, StoreCheckState
from poolsite.wire.commands import Operation
from poolsite.wire.store_checks import CheckedFile, CheckedSector, FileState

TRIES: Final = 3
AGAIN_AFTER: Final = timedelta(seconds=30)
"""Pause after a sector that could not be read: by then the host has told whether the store is away."""


def checks_note(
    worker: Worker,
    *,
    done: Collection[str],
    checked: Iterable[CheckedSector],
    errors: Mapping[str, str],
    now: datetime,
) -> None:
    """Save what a host has found of sectors' files, and drop its orders: what it repeats finds none."""
    orders = worker.commands.filter(uuid__in=done, op=Operation.CHECK_SECTOR, done_at=None)
    known = list(orders.order_by("pk"))
    if not known:
        return
    reported = {one.command: one.files for one in checked}
    uuids = {text for order in known if is_uuid(text := str(order.args.get("check", "")))}
    rows = StoreCheck.objects.select_for_update(of=("self",), no_key=True)
    rows = rows.filter(uuid__in=uuids, worker=worker, state=StoreCheckState.RUNNING)
    checks = {str(one.uuid): one for one in rows.select_related("store", "worker").order_by("pk")}
    for order in known:
        check = checks.get(str(order.args.get("check", "")))
        sector = _sector_of(order)
        if check is None:
            continue
        if sector is None:
            check.done += 1
        elif sector.store != check.store.name and moved_meanwhile(sector, check.store, order):
            check.done += 1
            copies_forget(sector.pk, store_name=check.store.name)
        elif (key := str(order.uuid)) in reported:
            _note(check, order, sector, reported[key], now=now)
        else:
            error = quoted(errors.get(key, ""), by="host") or NOT_REPORTED()
            _fail(check, order, sector, error=error, now=now)
    orders.delete()
    for check in checks.values():
        facts = ("done", "bad", "unread", "read_bytes", "queue", "waits_until", "error", "updated_at")
        check.save(update_fields=facts)
        publish(Change("store", str(check.store.uuid), check.store.tenant_id))


def _sector_of(order: WorkerCommand) -> Sector | None:
    uuid = str(order.args.get("sector", ""))
    return Sector.objects.filter(uuid=uuid).select_related("miner").first() if is_uuid(uuid) else None


def _note(
    check: StoreCheck, order: WorkerCommand, sector: Sector, files: Collection[CheckedFile], *, now: datetime
) -> None:
    if copy_condition_compute(files) == CopyCondition.BAD and moved_meanwhile(sector, check.store, order):
        _fail(check, order, sector, error=MOVED_HERE(), now=now)
        return
    check.done += 1
    if not check.unread:  # what an earlier try stumbled over has passed
        check.error, check.waits_until = "", None
    check.read_bytes += sum(one.size for one in files)
    store = check.store
    is_over = sector.state in ENDED_SECTORS or sector.tenant_id != store.tenant_id
    is_over |= bytes(sector.comm_r or b"").hex() != order.args.get("comm_r")
    is_away = sector.store != store.name and all(one.state == FileState.MISSING for one in files)
    if is_away:
        copies_forget(sector.pk, store_name=store.name)
    elif not is_over:  # it has not ended, and was not updated, while it was read
        check.bad += int(copy_note(sector, store=store, files=files, now=now))


def _fail(check: StoreCheck, order: WorkerCommand, sector: Sector, *, error: str, now: datetime) -> None:
    """Put a sector that a host could not read back into the queue; in the end it counts as not read."""
    tries = int(order.args.get("tries", "0")) + 1
    check.error, check.waits_until = error, now + AGAIN_AFTER
    if tries < TRIES:
        check.queue.append([sector.pk, tries])
        return
    check.done += 1
    check.unread += 1
    if sector.tenant_id == check.store.tenant_id:
        copy_mark_unread(sector, store=check.store, reason=error, now=now)
