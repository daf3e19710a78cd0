"""Scans of stores: a host is ordered to list what lies there, and tells it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, Subquery

from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.reasons import quoted
from apps.core.transitions import advance
from apps.core.uuids import is_uuid
from apps.sectors.errors.stores import StoreRefused
from apps.sectors.models import Store, StoreEvent, StoreFinding, StoreScan, Worker, WorkerCommand
from apps.sectors.reasons import HOST_OFFLINE, ITS_HOST_RETIRED, NOT_REPORTED
from apps.sectors.selectors.hosts import worker_is_away
from apps.sectors.services.audit import store_audit
from apps.sectors.services.stores.checks import reader_choose
from apps.sectors.services.stores.events import ATTACHED
from apps.sectors.states import FindingKind, FindingState, ScanState
from apps.users.rules.principals import Principal
from apps.users.states import Perm
from poolsite.wire.codec import document_encode
from poolsite.wire.commands import Operation
from poolsite.wire.store_checks import ScannedStore


@transaction.atomic
def scan_begin(
    store: Store, *, redeclares: bool = False, drops_missing: bool = False, now: datetime, by: Principal
) -> StoreScan:
    """Order a host to list what lies in a store; asked again, return the scan that runs.

    What it is to do with what is found is `redeclarations`' own.

    One whose host is away goes to another host.  Raises StoreRefused.
    """
    locked = Store.objects.select_for_update(no_key=True).get(pk=store.pk)
    running = locked.scans.select_for_update(of=("self",)).filter(state=ScanState.RUNNING)
    same = running.select_related("worker", "store").first()
    if same is not None and (same.report is not None or not worker_is_away(same.worker, now=now)):
        return same
    host = reader_choose(locked, now=now)
    if same is not None:
        scan_fail(same, error=HOST_OFFLINE(host=same.worker.name), now=now)
    requested = {"redeclares": redeclares, "drops_missing": drops_missing}
    scan = StoreScan.objects.create(store=locked, worker=host, actor=by.actor, **requested)
    args = {"uid": locked.uid, "scan": str(scan.uuid)}
    WorkerCommand.objects.create(worker=host, op=Operation.SCAN_STORE, args=args, actor=by.actor)
    after = {"host": host.name} | ({"drop_missing": drops_missing} if redeclares else {})
    store_audit(by, action="store.redeclare" if redeclares else "store.scan", target=locked.name, after=after)
    publish(Change("store", str(locked.uuid), locked.tenant_id))
    publish(Change("worker", host.pk, host.tenant_id))
    return scan


def scans_renew(*, now: datetime) -> None:
    """Scan again stores with parts of sectors beside which a host has attached another since.

    The rest may lie in that one: they are one sector then, whose parts are no leftovers.  One scan after an
    attach is enough, also one that failed or that somebody cancelled.
    """
    beside = "store__attachments__worker__attachments__store"
    later = {"event": ATTACHED, "at__gt": OuterRef("scanned_at"), beside: OuterRef("pk")}
    attached = StoreEvent.objects.filter(**later).exclude(store=OuterRef("pk"))
    last = StoreScan.objects.filter(store=OuterRef("pk")).order_by("-pk")
    parted = StoreFinding.objects.filter(
        store=OuterRef("pk"), kind=FindingKind.HALF, state=FindingState.FOUND
    )
    stores = Store.objects.filter(Exists(parted)).annotate(scanned_at=Subquery(last.values("created_at")[:1]))
    rows = stores.filter(Exists(attached)).select_related("tenant")
    for store in rows.order_by("pk"):
        by = Principal(
            tenant_id=store.tenant_id,
            tenant_name=store.tenant.name,
            is_operator=False,
            perm=Perm.SIGN,
            actor="console",
        )
        with suppress(StoreRefused):  # nobody reads it now: the next head tries again
            scan_begin(store, now=now, by=by)


@transaction.atomic
def scan_cancel(scan: StoreScan, *, now: datetime, by: Principal) -> None:
    """End a scan; its host stops, and what was found before stays listed.  Raises StoreRefused."""
    rows = StoreScan.objects.select_for_update(of=("self",)).select_related("store", "worker")
    row = rows.get(pk=scan.pk)
    if row.state != ScanState.RUNNING:
        raise StoreRefused(gettext("the scan has already ended"))
    _end(row, "CANCEL", now=now)
    store_audit(by, action="store.scan_cancel", target=row.store.name, before={"host": row.worker.name})


@transaction.atomic
def scans_end(worker: Worker, *, now: datetime) -> None:
    """End the scans of a host that is retired."""
    rows = StoreScan.objects.select_for_update(of=("self",)).filter(worker=worker, state=ScanState.RUNNING)
    for scan in rows.filter(report__isnull=True).select_related("store").order_by("pk"):
        scan_fail(scan, error=ITS_HOST_RETIRED(), now=now)


def scan_fail(scan: StoreScan, *, error: str, now: datetime) -> None:
    """End a scan that has come to nothing, with the error."""
    _end(scan, "FAIL", error=error, now=now)


def _end(scan: StoreScan, event: str, *, now: datetime, error: str = "") -> None:
    """End a scan without a list, and drop its order."""
    advance(scan, event, error=error, report=None, updated_at=now)
    orders = WorkerCommand.objects.filter(worker=scan.worker_id, op=Operation.SCAN_STORE, done_at=None)
    orders.filter(args__scan=str(scan.uuid)).delete()
    publish(Change("store", str(scan.store.uuid), scan.store.tenant_id))


def scans_note(
    worker: Worker,
    *,
    done: Collection[str],
    scanned: Iterable[ScannedStore],
    errors: Mapping[str, str],
    now: datetime,
) -> None:
    """Save what a host found in its stores, for a head to compare: a heartbeat renews leases, and is short.

    What the host repeats finds no order any more.
    """
    orders = worker.commands.filter(uuid__in=done, op=Operation.SCAN_STORE, done_at=None)
    known = list(orders.order_by("pk"))
    if not known:
        return
    reported = {one.command: one for one in scanned}
    for order in known:
        uuid, key = str(order.args.get("scan", "")), str(order.uuid)
        rows = StoreScan.objects.select_for_update(of=("self",)).filter(state=ScanState.RUNNING)
        rows = rows.select_related("store", "worker")
        scan = rows.filter(uuid=uuid, worker=worker).first() if is_uuid(uuid) else None
        if scan is None:
            continue
        if key in reported:
            StoreScan.objects.filter(pk=scan.pk).update(report=document_encode(reported[key]), updated_at=now)
        else:
            scan_fail(scan, error=quoted(errors.get(key, ""), by="host") or NOT_REPORTED(), now=now)
    orders.delete()
