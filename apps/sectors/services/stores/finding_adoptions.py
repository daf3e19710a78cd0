"""Sectors that a scan found are adopted, once a host has seen their comm_r."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from django.db import connection, transaction
from django.db.models import QuerySet

from apps.core.marked_texts import gettext
from apps.sectors.errors.stores import HostOrdersFull, StoreRefused
from apps.sectors.models import Store, StoreFinding, Worker
from apps.sectors.selectors.leftovers import OwnStores
from apps.sectors.services.audit import store_audit
from apps.sectors.services.stores.checks import check_order_encode, reader_choose
from apps.sectors.services.stores.findings import (
    FINDINGS_AT_ONCE,
    Planned,
    finding_order,
    findings_select,
    full_orders_describe,
    orders_open,
    store_publish,
)
from apps.sectors.services.stores.moves import changes_open
from apps.sectors.states import FindingKind, FindingState
from apps.users.rules.principals import Principal
from poolsite.wire.commands import Operation
from poolsite.wire.pipeline import SectorState


def adoptions_plan(findings: Sequence[StoreFinding], *, now: datetime) -> list[Planned]:
    """Return which sectors' rows may name the store where their files were found; of the others why not."""
    own = OwnStores([one.sector for one in findings], now=now)
    changes = changes_open([one.sector for one in findings if one.sector is not None])
    return [Planned(one, _adoption_refusal(one, own, changes)) for one in findings]


def _adoption_refusal(finding: StoreFinding, own: OwnStores, changes: Mapping[int, str]) -> str:
    sector, store = finding.sector, finding.store
    if finding.kind != FindingKind.ELSEWHERE or sector is None:
        return gettext("it is not a known sector that is recorded in another store or in none")
    if sector.tenant_id != store.tenant_id:
        return gettext("it belongs to another tenant")
    if sector.state != SectorState.PROVING or sector.removal_asked_at is not None or not sector.comm_r:
        return gettext("it is not proving")
    if sector.store == store.name:
        return gettext("it is already recorded in {store}").format(store=store.name)
    if sector.pk in changes:
        return changes[sector.pk]
    named = own.read_store(sector)
    if named is None or own.is_lost(sector, named):
        return ""
    return gettext(
        "a second copy: {store}, where it is recorded, can be read, and its files there are not known "
        "to be bad"
    ).format(store=named.name)


@transaction.atomic
def findings_adopt(
    store: Store, *, uuids: Collection[str] | None, now: datetime, by: Principal
) -> list[Planned]:
    """Order a host to compare the comm_r of sectors that were found here; then their rows name this store.

    Without `uuids`, of as many as a host is told of at a time.  Raises StoreRefused if none can be adopted.
    """
    locked = Store.objects.select_for_update(no_key=True).get(pk=store.pk)
    plan = adoptions_plan(findings_select(locked, uuids=uuids, kind=FindingKind.ELSEWHERE), now=now)
    chosen = [one.finding for one in plan if not one.refusal]
    if not chosen:
        raise StoreRefused(plan[0].refusal)
    host, later = findings_check(locked, chosen=chosen, action="store.adopt", by=by, now=now)
    return [
        Planned(one.finding, full_orders_describe(host)) if one.finding.pk in later else one for one in plan
    ]


def findings_check(
    store: Store, *, chosen: Sequence[StoreFinding], action: str, by: Principal, now: datetime
) -> tuple[Worker, set[int]]:
    """Order a host to look at sectors of findings; return it, and what is left as it was told of enough.

    The caller's transaction has locked the store.  Raises StoreRefused.
    """
    assert connection.in_atomic_block, "the store's lock ends with its transaction"
    host = reader_choose(store, now=now)
    room = FINDINGS_AT_ONCE - orders_open(host)
    if room <= 0:
        raise HostOrdersFull(full_orders_describe(host))
    for finding in chosen[:room]:
        if finding.sector is not None:
            args = check_order_encode(finding.sector, store=store) | {
                "store": finding.sector.store,
                "quick": "yes",
            }
            finding_order(
                finding,
                host=host,
                op=Operation.CHECK_SECTOR,
                args=args,
                event="CHECK",
                actor=by.actor,
                now=now,
            )
    after = {"host": host.name, "sectors": sorted(one.name for one in chosen[:room])}
    store_audit(by, action=action, target=store.name, after=after)
    store_publish(store, host=host)
    return host, {one.pk for one in chosen[room:]}


def adoptable_findings_list(rows: QuerySet[StoreFinding], *, now: datetime) -> list[StoreFinding]:
    """Return the next of these findings that may be adopted, as many as a host is told of at a time."""
    rows = rows.filter(kind=FindingKind.ELSEWHERE, state=FindingState.FOUND)
    rows, after = rows.select_related("sector__miner", "store__tenant").order_by("pk"), 0
    while part := list(rows.filter(pk__gt=after)[:FINDINGS_AT_ONCE]):
        after = part[-1].pk
        if found := [one.finding for one in adoptions_plan(part, now=now) if not one.refusal]:
            return found
    return []
