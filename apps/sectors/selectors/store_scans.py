"""Reads of scans of stores, and of what the last one found."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from django.db.models import QuerySet

from apps.core.errors import BadValue
from apps.core.formatting import whole
from apps.core.marked_texts import gettext
from apps.core.reasons import Reason, counted
from apps.core.uuids import is_uuid
from apps.sectors.errors.stores import ScanUnknown
from apps.sectors.models import Sector, Store, StoreFinding, StoreScan
from apps.sectors.reasons import COUNT_MISSING, COUNT_UNKNOWN, LISTED_ELSEWHERE
from apps.sectors.states import FindingKind, FindingState

ACTABLE: Final = (FindingState.FOUND, FindingState.REFUSED)
"""States in which a finding waits for somebody."""


def scans_of(store: Store) -> QuerySet[StoreScan]:
    """Return the scans of a store, the newest first."""
    return store.scans.select_related("store", "worker").order_by("-pk")


def scan_get(store: Store, uuid: str) -> StoreScan:
    """Return one scan of a store.  Raises ScanUnknown."""
    scan = scans_of(store).filter(uuid=uuid).first() if is_uuid(uuid) else None
    if scan is None:
        raise ScanUnknown(uuid)
    return scan


def sector_findings(sector: Sector) -> list[StoreFinding]:
    """Return what the last scans of its tenant's stores found of a sector, and its row does not say."""
    rows = StoreFinding.objects.filter(sector=sector, kind__in=(FindingKind.ELSEWHERE, FindingKind.HALF))
    rows = rows.exclude(state__in=(FindingState.ADOPTED, FindingState.REMOVED))
    return list(rows.select_related("store").order_by("store__name"))


def findings_page(
    store: Store, *, kind: str = "", miners: Collection[int] = (), after: int = 0, limit: int
) -> list[StoreFinding]:
    """Return a page of what the last scan of a store found, later than the row `after`.

    Of these miners alone, if any are named.  Raises BadValue.
    """
    if kind and kind not in FindingKind.values:
        raise BadValue(
            gettext("must be one of {kinds}").format(kinds=", ".join(FindingKind.values)), field="kind"
        )
    rows = store.findings.filter(pk__gt=after).select_related("store__tenant", "sector__miner").order_by("pk")
    if miners:
        rows = rows.filter(miner_id__in=miners)
    return list((rows.filter(kind=kind) if kind else rows)[:limit])


def findings_waiting(store: Store) -> QuerySet[StoreFinding]:
    """Return the findings of a store that wait for somebody."""
    return store.findings.filter(state__in=ACTABLE)


def kinds_waiting(store: Store) -> set[str]:
    """Return the kinds of which some finding of a store waits for somebody."""
    return set(findings_waiting(store).order_by().values_list("kind", flat=True).distinct())


def counts_list(counts: Mapping[str, int]) -> list[Reason]:
    """Return how many of each kind a scan found: `3 incomplete sectors`, `2 listed in another store`."""
    return [_count_reason(FindingKind(kind), count) for kind, count in counts.items()]


def _count_reason(kind: FindingKind, count: int) -> Reason:
    if kind == FindingKind.HALF:
        return counted(count, "incomplete sector")
    if kind == FindingKind.OTHER:
        return counted(count, "other file")
    others = {FindingKind.ELSEWHERE: LISTED_ELSEWHERE, FindingKind.MISSING: COUNT_MISSING}
    return others.get(kind, COUNT_UNKNOWN)(count=whole(count))
