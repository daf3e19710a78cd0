"""Leftovers that a scan found are removed, unless one is the last good copy of a sector."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction
from django.utils.translation import gettext_noop

from apps.core.errors import DomainError
from apps.core.formatting import plural
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.reasons import as_reason
from apps.core.transitions import advance
from apps.miners.models import Miner
from apps.sectors.errors.stores import HostOrdersFull, StoreRefused
from apps.sectors.models import Sector, Store, StoreFinding, WorkerCommand
from apps.sectors.onchain.live_sectors import live_sectors_read
from apps.sectors.onchain.sectors import precommits_read, sectors_proven_read
from apps.sectors.reasons import WITHDRAWN
from apps.sectors.selectors.leftovers import OwnStores
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.selectors.store_scans import ACTABLE, findings_waiting
from apps.sectors.services.audit import store_audit
from apps.sectors.services.stores.checks import reader_choose
from apps.sectors.services.stores.findings import (
    FINDINGS_AT_ONCE,
    NONE_WAITS,
    Planned,
    finding_order,
    findings_lock,
    findings_select,
    full_orders_describe,
    orders_open,
    store_publish,
)
from apps.sectors.services.stores.moves import unchanged_require
from apps.sectors.states import FindingKind, FindingState
from apps.users.rules.principals import Principal
from poolsite.filecoin.cids import cid_parse, cid_to_commr
from poolsite.wire.commands import Operation
from poolsite.wire.pipeline import SectorState

REMOVABLE: Final = (FindingKind.HALF, FindingKind.UNKNOWN, FindingKind.ELSEWHERE)
CHANGED: Final = gettext_noop(
    "the sector was updated by another program: only these files may be of its replica now"
)
FASTER: Final = gettext_noop("changed in the meantime")


def leftovers_plan(findings: Sequence[StoreFinding], *, work: SealingContext) -> list[Planned]:
    """Return which leftovers may be removed, and of the others why not.

    Raises NodeRefused, NodeUnavailable.
    """
    refusals = _removal_refusals(findings, now=work.now)
    plan = {one.pk: Planned(one, refusals[one.pk]) for one in findings}
    by_miner: dict[tuple[int, bool], list[StoreFinding]] = defaultdict(list)
    for one in plan.values():
        if not one.refusal and one.finding.miner_id is not None:
            by_miner[one.finding.miner_id, _is_second_copy(one.finding)].append(one.finding)
    for (miner_id, is_second), group in by_miner.items():
        numbers = [one.number for one in group if one.number is not None]
        known = set() if is_second else chain_numbers_read(miner_id, numbers=numbers, work=work)
        changed = _changed_read(miner_id, group, work=work) if is_second else set()
        for finding in group:
            if finding.number in known:
                plan[finding.pk] = Planned(finding, "the sector is on chain")
            elif finding.number in changed:
                plan[finding.pk] = Planned(finding, CHANGED)
    return list(plan.values())


def _changed_read(miner_id: int, findings: Sequence[StoreFinding], *, work: SealingContext) -> set[int]:
    """Return of which of these second copies' sectors the chain has another replica than their rows.

    Another program has updated those: the files that the row names, however good, are not what is proven.
    Raises NodeRefused, NodeUnavailable.
    """
    rows = {one.sector.number: bytes(one.sector.comm_r or b"") for one in findings if one.sector is not None}
    address = Miner.objects.get(actor_id=miner_id).address
    found = sectors_proven_read(work.client, address, sorted(rows), work.head.key)
    return {
        number for number, one in found.items() if cid_to_commr(cid_parse(one.sealed_cid)) != rows[number]
    }


def chain_numbers_read(miner_id: int, *, numbers: Sequence[int], work: SealingContext) -> set[int]:
    """Return which sectors of a miner the chain has, proven or pre-committed.

    Raises NodeRefused, NodeUnavailable.
    """
    miner = Miner.objects.get(actor_id=miner_id)
    live = live_sectors_read(work.client, miner.address, numbers, size=miner.sector_size, key=work.head.key)
    promised = precommits_read(work.client, miner.address, numbers, work.head.key)
    return {*live, *(number for number, one in promised.items() if one is not None)}


def removable_leftovers_list(store: Store, *, work: SealingContext) -> list[Planned]:
    """Return the next leftovers that can be removed, as many as a host is told of at a time, and what stays.

    Raises NodeRefused, NodeUnavailable.
    """
    rows = findings_waiting(store).select_related("sector__miner", "store__tenant").order_by("pk")
    rows = rows.filter(kind__in=REMOVABLE)
    plan: list[Planned] = []
    room, after = FINDINGS_AT_ONCE, 0
    while room and (part := list(rows.filter(pk__gt=after)[:FINDINGS_AT_ONCE])):
        after = part[-1].pk
        for one in leftovers_plan(part, work=work):
            if one.refusal:
                plan.append(one)
            elif room:
                plan.append(one)
                room -= 1
    if not plan:
        raise StoreRefused(gettext(NONE_WAITS))
    return plan


def _is_second_copy(finding: StoreFinding) -> bool:
    return finding.sector is not None and finding.sector.state == SectorState.PROVING


def _removal_refusals(findings: Sequence[StoreFinding], *, now: datetime) -> dict[int, str]:
    """Return by finding why its files stay, whatever the chain says; empty: they may go."""
    own = OwnStores([one.sector for one in findings], now=now)
    named = Miner.objects.filter(actor_id__in={one.miner_id for one in findings})
    miners = set(named.values_list("actor_id", "tenant_id"))
    return {one.pk: _removal_refusal(one, own, miners) for one in findings}


def _removal_refusal(
    finding: StoreFinding, own: OwnStores, miners: Collection[tuple[int | None, int]]
) -> str:
    store, sector = finding.store, finding.sector
    if finding.kind in (FindingKind.OTHER, FindingKind.MISSING):
        return (
            gettext("it is not a sector's leftover")
            if finding.kind == FindingKind.OTHER
            else gettext("it is missing")
        )
    if (finding.miner_id, store.tenant_id) not in miners:
        return gettext("f0{miner_id} is not a miner of {tenant}: remove it on the host").format(
            miner_id=finding.miner_id, tenant=store.tenant.name
        )
    if sector is None:
        return _record_refusal(finding)
    if sector.state == SectorState.TERMINATED or sector.removal_asked_at is not None:
        return gettext("remove its files with *Remove files…* on its own page")
    if sector.state not in (SectorState.PROVING, SectorState.ABORTED) or sector.store == store.name:
        return gettext("it is being sealed, or is recorded in this store")
    if sector.state == SectorState.PROVING and (fault := own.fault(sector)):
        return fault
    try:
        unchanged_require(sector)
    except DomainError as error:
        return error.reason
    drops = WorkerCommand.objects.filter(op=Operation.DROP_COPY, done_at=None, args__sector=str(sector.uuid))
    return gettext("a host still has to remove its partial copy of it") if drops.exists() else ""


def _record_refusal(finding: StoreFinding) -> str:
    """Return that the pool has a sector of this number by now; empty: it has none."""
    same = Sector.objects.filter(miner__actor_id=finding.miner_id, miner__tenant=finding.store.tenant_id)
    is_new = finding.number is not None and same.filter(number=finding.number).exists()
    return gettext("the pool has a record of it by now: scan again") if is_new else ""


def leftovers_remove(
    store: Store,
    *,
    uuids: Collection[str],
    by: Principal,
    work: SealingContext,
    reason: str = "",
    count: int | None = None,
) -> list[Planned]:
    """Order a host to remove these leftovers from a store, for good; those that cannot go are named.

    Raises StoreRefused if none is left, or not the `count` that somebody has confirmed; NodeRefused,
    NodeUnavailable.
    """
    plan = leftovers_plan(findings_select(store, uuids=uuids), work=work)
    chosen = [one.finding.pk for one in plan if not one.refusal]
    if not chosen:
        raise StoreRefused(plan[0].refusal)
    with transaction.atomic():
        host = reader_choose(store, now=work.now)
        rows = _with_sectors_locked(findings_lock(chosen))
        refusals = _removal_refusals(rows, now=work.now)
        changed = {one.pk: FASTER for one in rows if one.state not in ACTABLE}
        removable = [one for one in rows if not (refusals[one.pk] or changed.get(one.pk))]
        if not removable:
            raise StoreRefused(gettext("the findings changed in the meantime: reload and try again"))
        if count is not None and len(removable) != count:
            raise StoreRefused(
                gettext("this now applies to {leftovers}, not {count}: review it and confirm again").format(
                    leftovers=plural(len(removable), "leftover"), count=count
                )
            )
        if orders_open(host) + len(removable) > FINDINGS_AT_ONCE:
            raise HostOrdersFull(full_orders_describe(host))
        for finding in removable:
            args = {"uid": store.uid, "miner_id": str(finding.miner_id), "number": str(finding.number)}
            args |= {} if finding.kind == FindingKind.HALF else {"whole": "yes"}
            finding_order(
                finding,
                host=host,
                op=Operation.REMOVE_LEFTOVER,
                args=args,
                event="REMOVE",
                actor=by.actor,
                now=work.now,
            )
        after: dict[str, Any] = {"host": host.name, "sectors": sorted(one.name for one in removable)}
        after |= {"bytes": sum(one.size for one in removable)} | ({"reason": reason} if reason else {})
        store_audit(by, action="store.remove_leftovers", target=store.name, after=after)
        store_publish(store, host=host)
    known = {one.pk: Planned(one, refusals[one.pk] or changed.get(one.pk, "")) for one in rows}
    return [one if one.refusal else known.get(one.finding.pk) or Planned(one.finding, FASTER) for one in plan]


def removals_withdraw(orders: Collection[WorkerCommand], *, now: datetime) -> set[int]:
    """Withdraw those of a host's orders by which the last good copy of a sector may go; return their keys.

    Between an order and its host's answer lie hours, if the host is away or moves come first: the sector's
    own files may be found bad, or lost, meanwhile; of an unknown number the pool may have a sector by now.
    """
    assert connection.in_atomic_block, "findings and orders change together, before the host is told"
    by_finding = {
        str(one.args["finding"]): one
        for one in orders
        if one.op == Operation.REMOVE_LEFTOVER and "finding" in one.args
    }
    if not by_finding:
        return set()
    rows = StoreFinding.objects.filter(uuid__in=[*by_finding], state=FindingState.REMOVING)
    found = list(findings_lock(rows.values_list("pk", flat=True)))
    copies = [one for one in found if _is_second_copy(one) and "whole" in by_finding[str(one.uuid)].args]
    own, withdrawn = OwnStores([one.sector for one in copies], now=now), set()
    for finding in found:
        if finding.sector is None:
            fault = _record_refusal(finding)
        else:
            fault = own.fault(finding.sector) if finding in copies else ""
        if not fault:
            continue
        advance(finding, "FAIL", error=WITHDRAWN(fault=as_reason(fault)), updated_at=now)
        withdrawn.add(by_finding[str(finding.uuid)].pk)
        publish(Change("store", str(finding.store.uuid), finding.store.tenant_id))
    WorkerCommand.objects.filter(pk__in=withdrawn).delete()
    return withdrawn


def _with_sectors_locked(findings: Iterable[StoreFinding]) -> list[StoreFinding]:
    """Return findings with their sectors as they are now; nothing else changes these until the end."""
    found = list(findings)
    rows = Sector.objects.select_for_update(of=("self",)).filter(pk__in=[one.sector_id for one in found])
    sectors = {row.pk: row for row in rows.select_related("miner").order_by("pk")}
    for one in found:
        one.sector = None if one.sector_id is None else sectors[one.sector_id]
    return found
