"""Checks of stores: away, read by no prover, not to be written, damaged, full soon; of sealing folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from apps.checks import reasons
from apps.checks.findings.acts import sectors_rebuild
from apps.checks.findings.links import hosts_link, stores_link
from apps.checks.findings.parts import host_part, store_part
from apps.checks.findings.results import Finding, Link
from apps.checks.findings.text import NAMED, at_least, grouped, named
from apps.checks.selectors.data import CheckData
from apps.core.clock import DAY_S
from apps.core.formatting import size, whole
from apps.core.reasons import as_reason, clauses, colon, counted, lasting
from apps.sectors.models import Store
from apps.sectors.rules.hardware import SEALING_AWAY
from apps.sectors.selectors.ended_sectors import needs_no_proof
from apps.sectors.selectors.host_groups import (
    hosts_gone,
    hosts_here,
    hosts_told,
    tenants_with_plans,
)
from apps.sectors.selectors.store_checks import (
    BAD_COUNTED_MAX,
    bad_files_text,
    copies_bad_of,
    sectors_bad_in,
)
from apps.sectors.selectors.store_groups import (
    FULL_SOON_DAYS,
    attachments_faulty,
    paths_here,
    proved_counts,
    stores_by_keys,
    stores_damaged,
    stores_named,
    stores_unreached,
)
from apps.sectors.selectors.stores import store_days_left, store_fill_rate, store_rate_span, stores_visible
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SectorState
from poolsite.wire.stores import StoreCondition

COUNTED_MAX: Final = 1_000
"""Sectors of a store that are read one by one; beyond it the hosts' own count is used."""
SAMPLED_MAX: Final = 20_000
"""The same of all stores together: of many, fewer are read of each."""
SAMPLED_LEAST: Final = 10
LOST_COUNTED_MAX: Final = 200
"""Sectors out of reach that are counted row by row; beyond it hosts' own counts are used."""
REASONS_SHOWN: Final = 5
"""Hosts whose reasons are told of stores that are away."""


def stores_away(data: CheckData) -> Iterator[Finding]:
    """Stores with sealed sectors that only silent hosts reach: their windows pass without proofs."""
    missing = stores_unreached(data.viewer, now=data.at)
    if not missing:
        return
    rows = data.sectors.select_related(None).filter(state=SectorState.PROVING).exclude(needs_no_proof())
    rows = rows.order_by("store", "tenant", "state")  # by the index: without an order all sectors may be read
    counts: Counter[int] = Counter()
    for tenant_id, names in missing.items():
        found = rows.filter(tenant=tenant_id, store__in=names).values_list("miner_id", flat=True)
        counts.update(found[: LOST_COUNTED_MAX + 1 - counts.total()])
    if counts:
        many, stores = _sectors_lost(data, missing, counts.total()), sum(map(len, missing.values()))
        fees = (
            data.fault_fee_per_day(miner, counts[miner.pk] * many // counts.total()) for miner in data.miners
        )
        yield Finding(
            "stores",
            reasons.STORES_AWAY(stores=counted(stores, "store"), many=_sectors_text(many)),
            _out_of_reach_text(data, missing),
            count=stores,
            has_more=many == LOST_COUNTED_MAX + 1,
            per_day=sum(fees),
            breaks=tuple(store_part(tenant, name) for tenant, names in missing.items() for name in names),
            needs=_silent_parts(data, missing),
        )


def _silent_parts(data: CheckData, missing: Mapping[int, set[str]]) -> tuple[tuple[str, ...], ...]:
    """Return, for each of these stores, the silent hosts that read it."""
    readers: dict[tuple[int, str], list[str]] = {
        (tenant, name): [] for tenant, names in missing.items() for name in names
    }
    silent = hosts_gone(data.viewer, now=data.at).filter(tenant__in=missing).order_by()
    for tenant, name, host, stores in silent.values_list("tenant_id", "name", "host", "stores"):
        for store in missing[tenant].intersection(stores):
            readers[tenant, store].append(host_part(tenant, host or name))
    return tuple(tuple(hosts) for hosts in readers.values())


def _sectors_text(many: int) -> str:
    """Return how many sectors there are; where only the first were counted, that there are more."""
    if many == LOST_COUNTED_MAX + 1:
        return reasons.OVER_SECTORS(lost_counted_max=whole(LOST_COUNTED_MAX))
    return counted(many, "sector")


def _sectors_lost(data: CheckData, missing: Mapping[int, set[str]], counted: int) -> int:
    """Return how many sectors lie in stores: those counted, or what hosts told where that is only a part."""
    if counted <= LOST_COUNTED_MAX or data.viewer.miners:  # hosts' own counts are of all miners
        return counted
    return max(counted, sum(stores_named(data.viewer, missing).values_list("sectors", flat=True)))


def _out_of_reach_text(data: CheckData, missing: Mapping[int, set[str]]) -> str:
    """Return what brings stores back: hosts that are silent, and what the others say of theirs."""
    faulty = attachments_faulty(stores_named(data.viewer, missing), now=data.at).exclude(reason="")
    reported = [colon(row.worker.name, row.reason) for row in faulty[:REASONS_SHOWN]]
    silent = hosts_gone(data.viewer, now=data.at).filter(tenant__in=missing)
    if names := list(silent.values_list("name", flat=True)):
        reported.append(reasons.RESTART(silent=named(names)))
    return clauses(*reported) or reasons.REATTACH()


def sealing_stores_away(data: CheckData) -> Iterator[Finding]:
    """Disks in which hosts seal and that they cannot read: what was begun there waits for them."""
    if not data.host_counts.sealing_away:
        return
    hosts = hosts_told(hosts_here(data.viewer, now=data.at), SEALING_AWAY).only(
        "uuid", "tenant_id", "host", "name", "hardware"
    )
    away = [
        (worker, disk["folder"], disk["sealing"])
        for worker in hosts
        for disk in worker.hardware.get("disks", ())
        # its size is not known; one that is full or read-only has told it
        if (disk.get("sealing") or {}).get("reason") and not disk["sealing"].get("total_bytes")
    ]
    for group in grouped(away):
        worker, folder, reported = group[0]
        sectors = sum(one.get("sectors", 0) for _, _, one in group)
        yield Finding(
            f"sealing-{worker.pk}-{folder}",
            reasons.SEALING_AWAY(
                folder=named([one for _, one, _ in group]), worker=named([one.name for one, _, _ in group])
            ),
            reasons.SEALING_HELD(
                reason=as_reason(reported["reason"]), sectors=counted(sectors, "unfinished sector")
            ),
            link=hosts_link([one for one, _, _ in group]),
            count=len(group),
            needs=tuple((host_part(one.tenant_id, one.host or one.name),) for one, _, _ in group),
        )


def stores_unwritable(data: CheckData) -> Iterator[Finding]:
    """Stores that hosts read and cannot put sectors into, though they are to: sealing stops."""
    if not (keys := data.store_marks.faulty):
        return
    groups = list(grouped(list(stores_by_keys(keys))))
    shown = [group[0].pk for group in groups]
    first: dict[int, tuple[str, str]] = {}
    for row in attachments_faulty(stores_by_keys(shown), now=data.at).exclude(condition=StoreCondition.AWAY):
        first.setdefault(row.store_id, (row.worker.name, as_reason(row.reason)))
    waiting = _waiting_text(data)
    for group in groups:
        store = group[0]
        yield Finding(
            f"store-{store.pk}",
            reasons.STORE_CLOSED(store=named([one.name for one in group])),
            clauses(colon(*first.get(store.pk, (store.name, ""))), waiting),
            link=stores_link(group),
            count=len(group),
        )


def _waiting_text(data: CheckData) -> str:
    """Return how many sectors are sealed so far that a store is what they need next."""
    rows = data.sectors.filter(state=SectorState.PC2_DONE).select_related(None).order_by()
    count = rows[: COUNTED_MAX + 1].count()
    many = at_least(min(count, COUNTED_MAX), "sector", has_more=count > COUNTED_MAX)
    return reasons.STORE_AWAITED(sectors=many) if count else ""


def copies_bad(data: CheckData) -> Iterator[Finding]:
    """Sectors whose files a check found damaged, by store; those that are proved from there become faulty."""
    if not data.rare.copies_bad:
        return
    found = copies_bad_of(stores_damaged(data.viewer), miners=data.viewer.miners)
    proved = sectors_bad_in(found, miners=data.viewer.miners)
    is_cut = sum(map(len, proved.values())) > BAD_COUNTED_MAX
    miners = {miner.pk: miner for miner in data.miners}
    named_elsewhere = {(row.miner_id, row.number) for rows in data.bad_sectors.values() for row in rows}
    for store_pk, bad in found.items():
        store, first = bad.first.store, bad.first
        own = [row for row in proved[store_pk] if row.miner_id in miners]
        counts = Counter(
            row.miner_id for row in own if row.active and (row.miner_id, row.number) not in named_elsewhere
        )
        yield Finding(
            f"copies-{store_pk}",
            reasons.COPIES_BAD(many=as_reason(bad.text), store=store.name),
            reasons.COPY_BAD(
                miner=str(first.sector.miner),
                number=first.sector.number,
                first=as_reason(bad_files_text(first)),
            ),
            count=min(bad.count, BAD_COUNTED_MAX),
            has_more=bad.count > BAD_COUNTED_MAX or (is_cut and len(proved[store_pk]) < bad.count),
            link=Link("store", (str(store.uuid),)),
            per_day=sum(data.fault_fee_per_day(miners[pk], count) for pk, count in counts.items()),
            acts=sectors_rebuild(own),
        )


def _unproven_text(sectors: int, *, path: str) -> str:
    if not sectors:
        return reasons.STORE_EMPTY(path=path)
    return reasons.STORE_UNPROVEN_CAUSE(sectors=counted(sectors, "sector"), path=path)


def stores_unproven(data: CheckData) -> Iterator[Finding]:
    """Stores that sealing hosts read and no prover has: what lies there is faulty from its next window on."""
    if not (keys := data.store_marks.unproven):
        return
    # Which stores the provers of these read they do not tell.
    others = tenants_with_plans(data.viewer, JobKind.WINDOW_POST, now=data.at)
    stores = list(stores_by_keys(keys).exclude(tenant__in=others))
    if not stores:
        return
    stores.sort(key=lambda store: -store.sectors)
    limit = min(COUNTED_MAX + 1, max(SAMPLED_LEAST, SAMPLED_MAX // len(stores)))
    counts = proved_counts(stores, miners=data.viewer.miners, limit=limit)
    groups = list(grouped(stores))
    paths = paths_here([store for group in groups for store in group[:NAMED]], now=data.at)
    for group in groups:
        costs = [_unproven_cost(data, store, counts.get(store.pk, {}), limit=limit) for store in group]
        yield Finding(
            f"unproven-{group[0].pk}",
            reasons.STORE_UNPROVEN(store=named([store.name for store in group])),
            _unproven_text(
                sum(store.sectors for store in group),
                path=named([paths[store.pk] for store in group if store.pk in paths], len(group)),
            ),
            link=stores_link(group),
            count=len(group),
            has_more=any(has_more for _, has_more in costs),
            per_day=sum(cost for cost, _ in costs),
        )


def _unproven_cost(
    data: CheckData, store: Store, counts: Mapping[int, int], *, limit: int
) -> tuple[int, bool]:
    """Return what a store's sectors cost each day while faulty, and whether that is a lower bound.

    Of those counted, by miner; where only the first were, of as many as hosts have told.
    """
    many = counted = sum(counts.values())
    if counted >= limit and not data.viewer.miners:  # the hosts' count is of all miners
        many = max(counted, store.sectors)
    cost = sum(
        data.fault_fee_per_day(miner, counts[miner.pk] * many // counted)
        for miner in data.miners
        if miner.pk in counts
    )
    return cost, counted >= limit and many == counted


def stores_filling(data: CheckData) -> Iterator[Finding]:
    """Stores that are full within a week, as fast as they fill now."""
    if not (keys := data.store_marks.filling):
        return
    soon = []
    for store in stores_visible(data.viewer, now=data.at).filter(pk__in=keys):
        days, span = store_days_left(store, store_fill_rate(store)), store_rate_span(store)
        if days is not None and span is not None and days < FULL_SOON_DAYS:
            soon.append((days, span, store))
    for group in grouped(sorted(soon, key=lambda one: (one[0], one[2].pk))):
        days, span, store = group[0]
        yield Finding(
            f"filling-{store.pk}",
            reasons.STORE_FILLING(store=named([one.name for _, _, one in group]), left=lasting(days * DAY_S)),
            reasons.STORE_RATE(
                free_bytes=" ".join(size(store.free_bytes)), span=lasting(span.total_seconds())
            ),
            link=stores_link([one for _, _, one in group]),
            count=len(group),
        )
