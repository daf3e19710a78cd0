"""The files of adopted sectors: stores are scanned, and what lies there is compared before a row names it.

Scans and comparisons are those of the stores' own pages.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.sectors.errors.stores import ScanUnknown, StoreRefused
from apps.sectors.models import Sector, SectorAdoption, Store
from apps.sectors.selectors.hosts import worker_is_away
from apps.sectors.selectors.store_scans import scan_get
from apps.sectors.services.stores.checks import reader_choose
from apps.sectors.services.stores.finding_adoptions import adoptable_findings_list, findings_adopt
from apps.sectors.services.stores.scan_comparison import FINDINGS_MAX
from apps.sectors.services.stores.scans import scan_begin
from apps.sectors.states import FindingKind, FindingState, ScanState
from apps.users.rules.principals import Principal
from apps.users.states import Perm
from poolsite.wire.pipeline import SectorState

if TYPE_CHECKING:
    from datetime import datetime

    from apps.miners.models import Miner
    from apps.sectors.models import StoreScan

UNREAD: Final = "unread"


def files_follow(row: SectorAdoption, *, now: datetime) -> None:
    """Scan the tenant's stores for the files of sectors that no store is known to have, until that is over.

    What is compared already goes on by itself when an adoption is cancelled.
    """
    miner, scans, unread = row.miner, dict(row.scans), []
    left = _unplaced(miner)
    waits = False
    by = _orderer(row)
    for store in Store.objects.filter(tenant=miner.tenant_id).order_by("pk") if left else ():
        outcome = _store_follow(store, miner, scans, by=by, now=now)
        waits |= outcome == ""
        if outcome == UNREAD:
            unread.append(store.name)
    facts = {"scans": scans, "unread": unread, "unplaced": left, "updated_at": now}
    if waits:
        SectorAdoption.objects.filter(pk=row.pk, state=row.state).update(**facts)
    else:
        advance(row, "END", **facts)
    publish(Change("miner", miner.pk, miner.tenant_id))


def _orderer(row: SectorAdoption) -> Principal:
    """Return who ordered it: scans and comparisons of stores stand under that name in the audit log."""
    tenant = row.miner.tenant
    return Principal(
        tenant_id=tenant.pk, tenant_name=tenant.name, is_operator=False, perm=Perm.SIGN, actor=row.actor
    )


def _unplaced(miner: Miner) -> int:
    rows = Sector.objects.filter(
        miner=miner, tenant=miner.tenant_id, store="", state=SectorState.PROVING, removal_asked_at=None
    )
    return rows.count()


def _store_follow(store: Store, miner: Miner, scans: dict[str, str], *, by: Principal, now: datetime) -> str:
    """Go on with one store; returns an empty text while it is at work, `unread`, or `over`."""
    key = str(store.uuid)
    try:
        scan = _scan(store, scans.get(key), by=by, now=now)
    except StoreRefused:
        return UNREAD
    scans[key] = str(scan.uuid)
    if scan.state in (ScanState.FAILED, ScanState.CANCELLED):
        return UNREAD
    if scan.state == ScanState.RUNNING:
        return ""
    try:
        reader_choose(store, now=now)
    except StoreRefused:
        return UNREAD
    mine = store.findings.filter(kind=FindingKind.ELSEWHERE, sector__miner=miner)
    if next_ones := adoptable_findings_list(mine.filter(sector__store=""), now=now):
        # Refused while the host's queue of orders is full: the next head tries again.
        with suppress(StoreRefused):
            findings_adopt(store, uuids=[str(one.uuid) for one in next_ones], now=now, by=by)
        return ""
    if mine.filter(state=FindingState.CHECKING).exists():
        return ""
    has_more = scan.counts.get(FindingKind.ELSEWHERE, 0) > FINDINGS_MAX
    if has_more and mine.filter(state=FindingState.ADOPTED).exists():
        del scans[key]  # the next scan lists the others
        return ""
    return "over"


def _scan(store: Store, uuid: str | None, *, by: Principal, now: datetime) -> StoreScan:
    """Return the scan of a store for an adoption, begun if there is none; raises StoreRefused."""
    if uuid is not None:
        try:
            scan = scan_get(store, uuid)
        except ScanUnknown:
            pass
        else:
            # One that was compared while this is read is over: another one would be begun instead, each time.
            if scan.state != ScanState.RUNNING or not worker_is_away(scan.worker, now=now):
                return scan
    return scan_begin(store, now=now, by=by)  # one whose host is away goes to another
