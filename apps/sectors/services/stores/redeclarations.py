"""Stores are declared again: a host lists what lies there, and the rows follow without further questions.

It is a scan whose findings are seen to: what is found whole is compared and adopted, and what is missing is
dropped where that was asked for.  Each is looked at once more by the host before its row changes.
Source: lotus-miner `storage redeclare`, whose `--drop-missing` drops index entries without files.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from django.db import transaction

from apps.chain.node.isolation import for_each_isolated
from apps.core.errors import BadValue, NotAllowed
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.reasons import refused
from apps.sectors.errors.stores import HostOrdersFull, StoreRefused
from apps.sectors.models import Sector, Store, StoreFinding, StoreScan
from apps.sectors.reasons import NOTHING_FOUND, OTHER_SCAN, SCAN_CANCELLED
from apps.sectors.services.audit import store_audit
from apps.sectors.services.stores.checks import reader_choose
from apps.sectors.services.stores.finding_adoptions import (
    adoptable_findings_list,
    findings_adopt,
    findings_check,
)
from apps.sectors.services.stores.findings import FINDINGS_AT_ONCE
from apps.sectors.services.stores.missing_files import missing_plan
from apps.sectors.services.stores.scan_comparison import FINDINGS_MAX
from apps.sectors.services.stores.scans import scan_begin
from apps.sectors.states import FindingKind, FindingState, ScanState
from apps.users.rules.principals import SYSTEM, Principal
from poolsite.wire.pipeline import SectorState


@dataclass(frozen=True, slots=True)
class RedeclarationPlan:
    """What a redeclaration begins with; what it finds nobody knows before."""

    host: str
    """Who lists what lies there."""
    sectors: int
    """Proving sectors whose rows name the store, counted up to one more than was asked for."""
    missing: int | None
    """Of these the last scan did not find; None: the store was never scanned."""
    elsewhere: int | None
    """Sectors that the last scan found though their rows name another store, or none."""


def redeclaration_plan(store: Store, *, now: datetime, most: int | None = None) -> RedeclarationPlan:
    """Return who would do it, and what is known so far: of the sectors `most` and one more are counted.

    Raises StoreRefused if no host can.
    """
    rows = Sector.objects.filter(tenant_id=store.tenant_id, store=store.name, state=SectorState.PROVING)
    last = store.scans.filter(state=ScanState.DONE).order_by("-pk").first()
    known = None if last is None else last.counts
    return RedeclarationPlan(
        host=reader_choose(store, now=now).name,
        sectors=(rows if most is None else rows[: most + 1]).count(),
        missing=None if known is None else known.get(FindingKind.MISSING, 0),
        elsewhere=None if known is None else known.get(FindingKind.ELSEWHERE, 0),
    )


@transaction.atomic
def redeclaration_begin(
    store: Store, *, drops_missing: bool, confirm: str | None, now: datetime, by: Principal
) -> StoreScan:
    """Order a host to list a store, and the rows to follow; asked again, return the one that runs.

    To drop what is missing wants the store's name as `confirm`.  Raises NotAllowed, BadValue, StoreRefused.
    """
    if not by.may("sign"):
        raise NotAllowed(gettext("requires permission to sign for the store's tenant"))
    if drops_missing and (confirm or "").strip() != store.name:
        raise BadValue(gettext("type {store} to confirm").format(store=store.name), field="confirm")
    scan = scan_begin(store, redeclares=True, drops_missing=drops_missing, now=now, by=by)
    if scan.redeclares and (scan.drops_missing or not drops_missing):
        return scan
    scan.redeclares, scan.drops_missing, scan.updated_at = True, drops_missing, now
    scan.save(update_fields=["redeclares", "drops_missing", "updated_at"])
    store_audit(by, action="store.redeclare", target=store.name, after={"drop_missing": drops_missing})
    return scan


def redeclarations_follow(*, now: datetime) -> None:
    """Go on with each redeclaration whose scan is over; what goes wrong with one stops no other."""
    open_ones = StoreScan.objects.filter(redeclares=True, settled_at=None).exclude(state=ScanState.RUNNING)
    keys = list(open_ones.order_by("pk").values_list("pk", flat=True))
    for_each_isolated(keys, lambda key: _follow(key, now=now), event="store_not_redeclared")


@transaction.atomic
def _follow(key: int, *, now: datetime) -> None:
    """Order the next looks, or end it.  One step, so that whoever dies in it leaves all as it was."""
    store = Store.objects.select_for_update(no_key=True).get(scans=key)
    scan = store.scans.select_for_update(of=("self",)).get(pk=key)
    if scan.settled_at is not None:
        return
    error = _next(scan, store, now=now)
    if error is None:
        return
    facts = {"settled_at": now, "updated_at": now} | ({"error": error} if error else {})
    StoreScan.objects.filter(pk=key).update(**facts)
    publish(Change("store", str(store.uuid), store.tenant_id))


def _next(scan: StoreScan, store: Store, *, now: datetime) -> str | None:
    """Order the next looks; return None while something is under way, else why it ends before its time."""
    if scan.state == ScanState.FAILED:
        error: str = scan.error
        return error
    if scan.state == ScanState.CANCELLED:
        return SCAN_CANCELLED()
    if store.scans.filter(pk__gt=scan.pk).exists():
        return OTHER_SCAN()
    by = replace(SYSTEM, actor=scan.actor)  # the pool goes on with what somebody asked for
    drops = scan.drops_missing and bool(scan.counts.get(FindingKind.MISSING))
    error = ""
    if drops and not scan.known:
        drops, error = False, NOTHING_FOUND()
    try:
        reader_choose(store, now=now)
        if found := adoptable_findings_list(store.findings.all(), now=now):
            findings_adopt(store, uuids=[str(one.uuid) for one in found], now=now, by=by)
            return None
        if drops and (lost := _missing_next(store)):
            findings_check(store, chosen=lost, action="store.drop_missing", by=by, now=now)
            return None
    except StoreRefused as refusal:
        # While its host's queue of orders is full, perhaps of another store's, the next head tries again.
        return None if isinstance(refusal, HostOrdersFull) or _is_busy(store) else refused(refusal)
    if _is_busy(store):
        return None
    done = set(store.findings.values_list("state", flat=True).distinct())
    moved = {FindingKind.ELSEWHERE: FindingState.ADOPTED}
    moved |= {FindingKind.MISSING: FindingState.DROPPED} if drops else {}
    if any(state in done and scan.counts.get(kind, 0) > FINDINGS_MAX for kind, state in moved.items()):
        # The next scan lists the others.
        scan_begin(store, redeclares=True, drops_missing=scan.drops_missing, now=now, by=by)
    return error


def _is_busy(store: Store) -> bool:
    return store.findings.filter(state=FindingState.CHECKING).exists()


def _missing_next(store: Store) -> list[StoreFinding]:
    """Return the next missing sectors whose rows may change, as many as a host is told of at a time."""
    rows = store.findings.filter(kind=FindingKind.MISSING, state=FindingState.FOUND).order_by("pk")
    rows, after = rows.select_related("sector__miner", "store__tenant"), 0
    while part := list(rows.filter(pk__gt=after)[:FINDINGS_AT_ONCE]):
        after = part[-1].pk
        refusals = missing_plan(part)
        if found := [one for one in part if not refusals[one.pk]]:
            return found
    return []
