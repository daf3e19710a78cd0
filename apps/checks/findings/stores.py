"""Checks of stores: away, read by no prover, not to be written, damaged, full soon; of sealing folders."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext
from django.utils.translation import gettext as say

from apps.checks.findings.acts import sectors_rebuild
from apps.checks.findings.results import Finding, Link
from apps.checks.findings.text import at_least, named
from apps.core.formatting import DAY_S, plural, size, time_left, whole
from apps.core.languages import clauses_text, colon_text
from apps.core.stored_texts import stored_text
from apps.sectors.selectors.damocles import has_plan
from apps.sectors.selectors.ended_sectors import needs_no_proof
from apps.sectors.selectors.hosts import proves_windows, stores_of_workers, worker_is_away
from apps.sectors.selectors.store_checks import (
    BAD_COUNTED_MAX,
    bad_files_text,
    copies_bad_of,
    sectors_bad_in,
)
from apps.sectors.selectors.stores import attachments_of, store_days_left, store_fill_rate, store_rate_span
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SectorState
from poolsite.wire.stores import StoreCondition

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from apps.checks.selectors.data import CheckData
    from apps.sectors.models import Store, Worker

FULL_SOON_DAYS: Final = 7
SETTLES: Final = timedelta(minutes=1)
"""A store that was attached a moment ago may get its prover in the next: sealer and prover start together."""
COUNTED_MAX: Final = 1_000
"""Sectors of a store that are read one by one; beyond it the hosts' own count is used."""
LOST_COUNTED_MAX: Final = 200
"""Sectors out of reach that are counted row by row; beyond it hosts' own counts are used."""


def stores_away(data: CheckData) -> Iterator[Finding]:
    """Stores with sealed sectors that only silent hosts reach: their windows pass without proofs."""
    away = [worker for worker in data.workers if worker_is_away(worker, now=data.at)]
    missing = _stores_missing(data, away)
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
            say("{stores} with {many} unreachable").format(
                stores=plural(stores, "store"), many=_sectors_text(many)
            ),
            _out_of_reach_text(data, missing, away),
            count=stores,
            has_more=many == LOST_COUNTED_MAX + 1,
            per_day=sum(fees),
        )


def _stores_missing(data: CheckData, away: Sequence[Worker]) -> dict[int, set[str]]:
    """Return the names of the stores that no host reads which is there, by tenant."""
    here = stores_of_workers(worker for worker in data.workers if worker not in away)
    known = stores_of_workers(away)
    for store in data.stores:
        known.setdefault(store.tenant_id, set()).add(store.name)
    missing = {tenant_id: names - here.get(tenant_id, set()) for tenant_id, names in known.items()}
    return {tenant_id: names for tenant_id, names in missing.items() if names}


def _sectors_text(many: int) -> str:
    """Return how many sectors there are; where only the first were counted, that there are more."""
    if many == LOST_COUNTED_MAX + 1:
        return say("over {lost_counted_max} sectors").format(lost_counted_max=whole(LOST_COUNTED_MAX))
    return plural(many, "sector")


def _sectors_lost(data: CheckData, missing: Mapping[int, set[str]], counted: int) -> int:
    """Return how many sectors lie in stores: those counted, or what hosts told where that is only a part."""
    if counted <= LOST_COUNTED_MAX or data.viewer.miners:  # hosts' own counts are of all miners
        return counted
    reported = sum(store.sectors for store in data.stores if store.name in missing.get(store.tenant_id, ()))
    return max(counted, reported)


def _out_of_reach_text(data: CheckData, missing: Mapping[int, set[str]], away: Sequence[Worker]) -> str:
    """Return what brings stores back: hosts that are silent, and what the others say of theirs."""
    reported = [
        colon_text(row.worker.name, stored_text(row.reason))
        for store in data.stores
        if store.name in missing.get(store.tenant_id, ())
        for row in attachments_of(store)
        if row.worker not in away and row.reason
    ]
    silent = [worker.name for worker in away if missing.get(worker.tenant_id)]
    if silent:
        reported.append(
            say("restart {silent}, or start another host that reads the same files").format(
                silent=named(silent)
            )
        )
    return clauses_text(reported) or gettext("reattach them to a host")


def sealing_stores_away(data: CheckData) -> Iterator[Finding]:
    """Disks in which hosts seal and that they cannot read: what was begun there waits for them."""
    for worker in data.workers:
        if worker_is_away(worker, now=data.at):
            continue
        for disk in worker.hardware.get("disks", ()):
            reported = disk.get("sealing")
            # its size is not known; one that is full or read-only has told it
            if not reported or not reported.get("reason") or reported.get("total_bytes"):
                continue
            waiting = plural(reported.get("sectors", 0), "unfinished sector")
            yield Finding(
                f"sealing-{worker.pk}-{disk['folder']}",
                say("sealing folder {folder} of {worker} is unavailable").format(
                    folder=disk["folder"], worker=worker.name
                ),
                say("{reason}; {sectors} there, and none starts").format(
                    reason=reported["reason"], sectors=waiting
                ),
                link=Link("host", (str(worker.uuid),)),
            )


def stores_unwritable(data: CheckData) -> Iterator[Finding]:
    """Stores that hosts read and cannot put sectors into, though they are to: sealing stops."""
    here = {worker.pk: worker for worker in data.workers if not worker_is_away(worker, now=data.at)}
    for store in data.stores:
        rows = [row for row in attachments_of(store) if row.worker_id in here]
        if store.rules.get("is_read_only") or not store.rules.get("can_store", True):
            continue
        bad = [row for row in rows if row.condition not in (StoreCondition.READY, StoreCondition.AWAY)]
        if not bad or any(row.condition == StoreCondition.READY for row in rows):
            continue
        yield Finding(
            f"store-{store.pk}",
            say("{store} accepts no sectors").format(store=store.name),
            colon_text(bad[0].worker.name, stored_text(bad[0].reason)) + _waiting_text(data),
            link=Link("store", (str(store.uuid),)),
        )


def _waiting_text(data: CheckData) -> str:
    """Return how many sectors are sealed so far that a store is what they need next."""
    rows = data.sectors.filter(state=SectorState.PC2_DONE).select_related(None).order_by()
    count = rows[: COUNTED_MAX + 1].count()
    many = at_least(min(count, COUNTED_MAX), "sector", has_more=count > COUNTED_MAX)
    return say("; {sectors} waiting to be stored").format(sectors=many) if count else ""


def copies_bad(data: CheckData) -> Iterator[Finding]:
    """Sectors whose files a check found damaged, by store; those that are proved from there become faulty."""
    found = copies_bad_of(data.stores, miners=data.viewer.miners) if data.rare.copies_bad else {}
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
            say("{many} in {store} with bad files").format(many=bad.text, store=store.name),
            say("{miner} / {number}: {first}; rebuild it, then check its files again").format(
                miner=first.sector.miner, number=first.sector.number, first=bad_files_text(first)
            ),
            count=min(bad.count, BAD_COUNTED_MAX),
            has_more=bad.count > BAD_COUNTED_MAX or (is_cut and len(proved[store_pk]) < bad.count),
            link=Link("store", (str(store.uuid),)),
            per_day=sum(data.fault_fee_per_day(miners[pk], count) for pk, count in counts.items()),
            acts=sectors_rebuild(own),
        )


def _unproven_text(store: Store, *, path: str) -> str:
    if not store.sectors:
        return say(
            "no sector is stored there yet, but any that is would become faulty: attach {path} to a prover, "
            "or join one with that store"
        ).format(path=path)
    return say(
        "{sectors} there, and each becomes faulty at its next window: attach {path} to a prover, or "
        "join one with that store"
    ).format(sectors=plural(store.sectors, "sector"), path=path)


def stores_unproven(data: CheckData) -> Iterator[Finding]:
    """Stores that sealing hosts read and no prover has: what lies there is faulty from its next window on."""
    provers = {
        (worker.tenant_id, name)
        for worker in data.workers
        if proves_windows(worker)
        for name in worker.stores
    }
    others = {  # which stores these read they do not tell
        worker.tenant_id for worker in data.workers if has_plan(worker, JobKind.WINDOW_POST, now=data.at)
    }
    for store in data.stores:
        rows = attachments_of(store)
        here = [row for row in rows if not worker_is_away(row.worker, now=data.at)]
        takes_more = store.rules.get("can_store", True) and not store.rules.get("is_read_only")
        if all(row.since > data.at - SETTLES for row in here) or store.tenant_id in others:
            continue
        if not (store.sectors or takes_more):
            continue
        if (store.tenant_id, store.name) in provers or any(proves_windows(row.worker) for row in rows):
            continue
        proved = data.sectors.select_related(None).filter(tenant=store.tenant_id, store=store.name)
        proved = proved.filter(state=SectorState.PROVING, active=True).order_by()
        counts = Counter(proved.values_list("miner_id", flat=True)[: COUNTED_MAX + 1])
        counted = counts.total()
        many = counted
        if counted > COUNTED_MAX and not data.viewer.miners:  # the hosts' count is of all miners
            many = max(counted, store.sectors)
        miners = {miner.pk: miner for miner in data.miners}
        yield Finding(
            f"unproven-{store.pk}",
            say("no prover reads {store}").format(store=store.name),
            _unproven_text(store, path=here[0].path),
            link=Link("store", (str(store.uuid),)),
            has_more=many == COUNTED_MAX + 1,
            per_day=sum(
                data.fault_fee_per_day(miners[pk], n * many // counted)
                for pk, n in counts.items()
                if pk in miners
            ),
        )


def stores_filling(data: CheckData) -> Iterator[Finding]:
    """Stores that are full within a week, as fast as they fill now."""
    for store in data.stores:
        days, span = store_days_left(store, store_fill_rate(store)), store_rate_span(store)
        if store.rules.get("is_read_only") or days is None or span is None:
            continue
        if days < FULL_SOON_DAYS:
            yield Finding(
                f"filling-{store.pk}",
                say("{store} will be full in {left}").format(store=store.name, left=time_left(days * DAY_S)),
                say(
                    "{free_bytes} free, at the rate of the last {span}; attach another store before then"
                ).format(free_bytes=" ".join(size(store.free_bytes)), span=time_left(span.total_seconds())),
                link=Link("store", (str(store.uuid),)),
            )
