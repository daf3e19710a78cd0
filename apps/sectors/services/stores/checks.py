"""Checks of files: a host reads those of a store's sectors at a set pace and reports each that differs.

Orders ride on heartbeats, a few at a time; a host that starts again is told the same ones again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import QuerySet

from apps.core.errors import BadValue
from apps.core.formatting import plural
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.reasons import COLON
from apps.core.transitions import advance
from apps.core.units import value_with_unit
from apps.sectors.errors.stores import StoreRefused
from apps.sectors.models import Sector, Store, StoreCheck, Worker, WorkerCommand
from apps.sectors.reasons import (
    CHECKED_IN_PART,
    COUNTS_CHECKED,
    HOST_OFFLINE,
    ITS_HOST_RETIRED,
    STORE_DETACHED,
)
from apps.sectors.selectors.hosts import worker_is_away
from apps.sectors.selectors.stores import hosts_of_store
from apps.sectors.services.audit import store_audit
from apps.sectors.services.stores.events import event_write
from apps.sectors.states import ENDED_SECTORS, StoreCheckState
from apps.users.rules.principals import Principal
from poolsite.wire.commands import WITHOUT_UPGRADE, Operation
from poolsite.wire.jobs import JobKind
from poolsite.wire.stores import READABLE

PACE: Final = 100 << 20
"""Bytes a second that a check reads unless somebody says otherwise: half of what a slow disk gives."""
PACE_LEAST: Final = 1 << 20
PACE_MOST: Final = 100 << 30
AT_ONCE: Final = 16
LARGE: Final = 1 << 30
LARGE_AT_ONCE: Final = 2
"""Sectors that a host is told of at a time: of large ones it reads one while the next waits."""
SINGLE_MAX: Final = 200
"""Checks of single sectors that one host has to do; it is told of `AT_ONCE` of them at a time."""
QUEUED: Final = 1_000
"""Sectors whose rows are read at a time."""
CHECKED: Final = "CHECKED"
"""Event of a store whose check has ended."""
FILES_DIFFER: Final = "FILES_DIFFER"
"""The same where files differ."""


@transaction.atomic
def check_begin(
    store: Store, *, sector: Sector | None = None, bytes_s: int = PACE, now: datetime, by: Principal
) -> StoreCheck:
    """Begin to check all sectors in a store, or one; asked again, return the check that runs.

    One whose host is away goes to another host.  Raises StoreRefused, BadValue.
    """
    if not PACE_LEAST <= bytes_s <= PACE_MOST:
        raise BadValue(
            gettext("must be from {least} to {most} bytes per second").format(
                least=PACE_LEAST, most=PACE_MOST
            ),
            field="bytes_s",
        )
    if sector is not None and sector.tenant_id != store.tenant_id:
        raise BadValue(gettext("belongs to another tenant"), field="sector")
    locked = Store.objects.select_for_update(no_key=True).get(pk=store.pk)
    running = locked.checks.select_for_update(of=("self",)).select_related("worker", "store")
    same = running.filter(state=StoreCheckState.RUNNING, sector=sector).first()
    if same is not None and not worker_is_away(same.worker, now=now):
        return same
    host = reader_choose(locked, now=now)
    if sector is not None and sector.comm_r is None:
        raise StoreRefused(gettext("the sector has no sealed files yet"))
    # What waits for a store that is away holds up nobody else.
    ahead = 0 if sector is None else _single(host).filter(store__name__in=host.stores).count()
    if ahead >= SINGLE_MAX:
        raise StoreRefused(
            gettext("{host} still has {ahead} single sectors to check: wait for those first").format(
                host=host.name, ahead=ahead
            )
        )
    total = 1 if sector is not None else sum(one.count() for one in _sectors_of(locked))
    if not total:
        raise StoreRefused(gettext("no sectors are recorded in {store}").format(store=locked.name))
    if same is not None:
        _end(same, "FAIL", error=HOST_OFFLINE(host=same.worker.name), now=now)
    check = StoreCheck.objects.create(
        store=locked,
        worker=host,
        sector=sector,
        bytes_s=bytes_s,
        total=total,
        queue=[] if sector is None else [[sector.pk, 0]],
        actor=by.actor,
    )
    after = {"host": host.name, "sectors": total, "bytes_s": value_with_unit("bytes_s", bytes_s)}
    if sector is not None:
        after["sector"] = f"{sector.miner} / {sector.number}"
    store_audit(by, action="store.check", target=locked.name, after=after)
    if ahead < AT_ONCE:
        _continue(check, now=now)
    publish(Change("store", str(locked.uuid), locked.tenant_id))
    publish(Change("worker", host.pk, host.tenant_id))
    return check


def _single(host: Worker) -> QuerySet[StoreCheck]:
    return StoreCheck.objects.filter(worker=host, state=StoreCheckState.RUNNING, sector__isnull=False)


def reader_choose(store: Store, *, now: datetime) -> Worker:
    """Return the host that reads a store for a check, rather one without proofs.  Raises StoreRefused."""
    hosts = hosts_of_store(store, READABLE, now=now)
    if not hosts:
        raise StoreRefused(gettext("no online host can read {store}").format(store=store.name))
    able = [host for host in hosts if host.version not in WITHOUT_UPGRADE]
    if not able:
        raise StoreRefused(
            gettext("{host} runs {version}, which does not support this: upgrade it first").format(
                host=hosts[0].name, version=hosts[0].version
            )
        )
    return min(able, key=lambda one: str(JobKind.WINDOW_POST) in one.kinds)


@transaction.atomic
def check_cancel(check: StoreCheck, *, now: datetime, by: Principal) -> None:
    """End a check; sectors that its host was told of are read to their end.  Raises StoreRefused."""
    row = StoreCheck.objects.select_for_update(of=("self",)).select_related("store").get(pk=check.pk)
    if row.state != StoreCheckState.RUNNING:
        raise StoreRefused(gettext("the check has already ended"))
    progress = gettext("{done} of {sectors}").format(done=row.done, sectors=plural(row.total, "sector"))
    _end(row, "CANCEL", now=now)
    store_audit(by, action="store.check_cancel", target=row.store.name, before={"checked": progress})


@transaction.atomic
def checks_end(worker: Worker, *, now: datetime) -> None:
    """End the checks of a host that is retired."""
    rows = StoreCheck.objects.select_for_update(of=("self",)).filter(
        worker=worker, state=StoreCheckState.RUNNING
    )
    for row in rows.select_related("store").order_by("pk"):
        _end(row, "FAIL", error=ITS_HOST_RETIRED(), now=now)


def _end(check: StoreCheck, event: str, *, now: datetime, error: str = "") -> None:
    advance(check, event, error=error or check.error, queue=[], updated_at=now)
    _orders(check).delete()
    counts = {"done": check.done, "total": check.total, "bad": check.bad}
    note = CHECKED_IN_PART(**counts, unread=check.unread) if check.unread else COUNTS_CHECKED(**counts)
    note = COLON(one=note, other=error) if error else note
    happened = FILES_DIFFER if check.bad else CHECKED
    event_write(check.store, event=happened, actor=check.actor, note=note, now=now)


def _orders(check: StoreCheck) -> QuerySet[WorkerCommand]:
    rows = WorkerCommand.objects.filter(worker=check.worker_id, op=Operation.CHECK_SECTOR)
    return rows.filter(args__check=str(check.uuid), done_at=None)


def _sectors_of(store: Store) -> tuple[QuerySet[Sector], QuerySet[Sector]]:
    """Return the sectors whose rows name a store, and the others of which it has a copy."""
    sealed = Sector.objects.filter(tenant_id=store.tenant_id, comm_r__isnull=False).exclude(
        state__in=ENDED_SECTORS
    )
    sealed = sealed.filter(removal_asked_at=None)
    copied = sealed.filter(pk__in=store.copies.values("sector")).exclude(store=store.name)
    return sealed.filter(store=store.name), copied


def checks_continue(worker: Worker, *, now: datetime) -> None:
    """Order the next sectors of a host's checks; called with each heartbeat, in its transaction."""
    rows = StoreCheck.objects.select_for_update(of=("self",), no_key=True)
    rows = rows.filter(worker=worker, state=StoreCheckState.RUNNING).select_related("store", "worker")
    known = list(rows.order_by("pk"))
    attached = set(worker.attachments.values_list("store", flat=True)) if known else set()
    single = 0
    for check in known:
        if check.store_id not in attached:
            _end(
                check,
                "FAIL",
                error=STORE_DETACHED(host=worker.name),
                now=now,
            )
        elif check.store.name not in worker.stores or _is_held(check, now=now):
            continue  # it waits, while its store is away for instance, and others do not wait for it
        elif check.sector_id is None:
            _continue(check, now=now)
        elif single < AT_ONCE:
            _continue(check, now=now)
            single += check.state == StoreCheckState.RUNNING


def _is_held(check: StoreCheck, *, now: datetime) -> bool:
    return check.waits_until is not None and now < check.waits_until


def _continue(check: StoreCheck, *, now: datetime) -> None:
    if _is_held(check, now=now):
        return
    if not check.queue and check.sector_id is None:
        _refill(check)
    open_ones = _orders(check).count()
    coming = [pk for pk, _ in check.queue[:AT_ONCE]]
    sectors = {one.pk: one for one in Sector.objects.filter(pk__in=coming).select_related("miner")}
    most = LARGE_AT_ONCE if any(one.sector_size >= LARGE for one in sectors.values()) else AT_ONCE
    count = max(min(most, len(check.queue)) - open_ones, 0)
    batch, check.queue = check.queue[:count], check.queue[count:]
    for pk, tries in batch:
        if pk in sectors:
            _order(check, sectors[pk], tries=tries)
        else:  # the sector's row was deleted
            check.done += 1
    check.save(update_fields=["queue", "after", "done"])
    if not batch and not check.queue and not open_ones:
        _end(check, "END", now=now)


def _refill(check: StoreCheck) -> None:
    """Put the next sectors of a store into the queue, a thousand at a time."""
    found: set[int] = set()
    for rows in _sectors_of(check.store):
        after = rows.filter(pk__gt=check.after).order_by("pk")
        found.update(after.values_list("pk", flat=True)[:QUEUED])
    check.queue = [[pk, 0] for pk in sorted(found)[:QUEUED]]
    check.after = check.queue[-1][0] if check.queue else check.after


def _order(check: StoreCheck, sector: Sector, *, tries: int) -> None:
    args = check_order_encode(sector, store=check.store) | {
        "check": str(check.uuid),
        "bytes_s": str(check.bytes_s),
        "tries": str(tries),
    }
    WorkerCommand.objects.create(
        worker_id=check.worker_id, op=Operation.CHECK_SECTOR, args=args, actor=check.actor
    )


def check_order_encode(sector: Sector, *, store: Store) -> dict[str, str]:
    """Return what an order to check a sector names."""
    return {
        "uid": store.uid,
        "sector": str(sector.uuid),
        "miner_id": str(sector.miner.actor_id),
        "number": str(sector.number),
        "seal_proof": str(sector.seal_proof),
        "comm_r": bytes(sector.comm_r or b"").hex(),
    }
