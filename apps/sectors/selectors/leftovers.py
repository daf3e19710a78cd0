"""Reads for leftovers: whether a sector's own files are good where its row says, what is being removed."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Max, QuerySet

from apps.core.marked_texts import gettext
from apps.miners.models import Miner
from apps.sectors.models import Sector, SectorCopy, Store, StoreFinding, StoreScan, WorkerCommand
from apps.sectors.selectors.stores import hosts_of_store
from apps.sectors.states import CopyCondition, FindingKind, ScanState
from poolsite.wire.commands import Operation
from poolsite.wire.stores import READABLE

CHECK_HOLDS: Final = timedelta(days=30)
"""How long a check lets a second copy go."""


class OwnStores:
    """What is known of the files of sectors in the stores that their rows name, which are not the ones where
    they were found.
    """

    def __init__(self, among: Iterable[Sector | None], *, now: datetime) -> None:
        self.now = now
        sectors = {one for one in among if one is not None and one.store}
        self._stores: dict[tuple[int, str], Store] = {}
        if not sectors:
            return
        rows = Store.objects.filter(tenant_id__in={one.tenant_id for one in sectors})
        rows = rows.filter(name__in={one.store for one in sectors})
        self._stores = {(store.tenant_id, store.name): store for store in rows}
        pks, keys = [one.pk for one in self._stores.values()], {one.pk for one in sectors}
        self._read = {one.pk for one in self._stores.values() if hosts_of_store(one, READABLE, now=now)}
        scans = StoreScan.objects.filter(store__in=pks, state=ScanState.DONE).order_by().values("store")
        self._scanned = dict(scans.annotate(at=Max("updated_at")).values_list("store", "at"))
        lost = StoreFinding.objects.filter(store__in=pks, sector__in=keys, kind=FindingKind.MISSING)
        self._missing = set(lost.values_list("sector", "store"))
        copies = SectorCopy.objects.filter(store__in=pks, sector__in=keys)
        known = copies.values_list("sector", "store", "condition", "checked_at")
        self._copies = {(sector, store): (condition, at) for sector, store, condition, at in known}

    def read_store(self, sector: Sector) -> Store | None:
        """Return the store that a sector's row names if some host reads it now."""
        own = self._stores.get((sector.tenant_id, sector.store))
        return own if own is not None and own.pk in self._read else None

    def is_lost(self, sector: Sector, own: Store) -> bool:
        """Return whether the last scan or the last check of that store says that the sector is bad there."""
        key = (sector.pk, own.pk)
        return key in self._missing or self._copies.get(key, ("", None))[0] == CopyCondition.BAD

    def fault(self, sector: Sector) -> str:
        """Return why a proving sector's own files are not known to be good; empty: they are.

        Good is what a check found so lately, after the last scan there, in a store that a host reads now.
        """
        if not sector.store:
            return gettext("it is not recorded in any store: adopt it here")
        own = self.read_store(sector)
        if own is None:
            return gettext("no online host can read {store}, where it is recorded").format(store=sector.store)
        if (sector.pk, own.pk) in self._missing:
            return gettext("it is missing in {store}, where it is recorded").format(store=own.name)
        condition, at = self._copies.get((sector.pk, own.pk), ("", None))
        if condition == CopyCondition.NOTED:
            return gettext(
                "its files in {store} were read only once, to record their checksums: check them there again"
            ).format(store=own.name)
        if condition != CopyCondition.GOOD or at is None:
            return gettext(
                "it is recorded in {store}, where its files have not been checked: check them there first"
            ).format(store=own.name)
        if self.now - at > CHECK_HOLDS:
            return gettext(
                "its files in {store} have not been checked for {days} days: check them there first"
            ).format(store=own.name, days=CHECK_HOLDS.days)
        if (scanned_at := self._scanned.get(own.pk)) is not None and at < scanned_at:
            return gettext(
                "its files in {store} have not been checked since the store was scanned: check them "
                "there first"
            ).format(store=own.name)
        return ""


def removals_open(sectors: Collection[Sector]) -> dict[int, WorkerCommand]:
    """Return by sector an order to remove files of it that were called a leftover.

    Of all hosts and stores: one that is away carries it out when it is back, whatever lies there then.
    """
    if not sectors:
        return {}
    rows = _removals({one.tenant_id for one in sectors})
    rows = rows.filter(args__number__in=sorted({str(one.number) for one in sectors}))
    known = {
        (row.worker.tenant_id, row.args["miner_id"], row.args["number"]): row
        for row in rows.select_related("worker").order_by("-pk")
    }
    found = {
        one.pk: known.get((one.tenant_id, str(one.miner.actor_id), str(one.number)))
        for one in (sectors if known else ())
    }
    return {pk: row for pk, row in found.items() if row is not None}


def numbers_awaiting_removal(miner: Miner) -> set[int]:
    """Return the numbers of a miner's sectors of which `removals_open` finds an order."""
    rows = _removals([miner.tenant_id]).filter(args__miner_id=str(miner.actor_id))
    return {int(number) for number in rows.values_list("args__number", flat=True)}


def _removals(tenants: Collection[int]) -> QuerySet[WorkerCommand]:
    """Return the orders to tenants' hosts to remove a leftover that are not carried out."""
    orders = (Operation.REMOVE_LEFTOVER, Operation.REMOVE_SEALING)
    rows = WorkerCommand.objects.filter(op__in=orders, done_at=None, worker__retired_at=None)
    return rows.filter(worker__tenant_id__in=tenants)
