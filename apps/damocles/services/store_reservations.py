"""Room that is kept in stores for what damocles-workers make."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db.models import F, Q, QuerySet, Sum

from apps.core.locks import transaction_lock
from apps.core.marked_texts import gettext
from apps.damocles.errors import NotThatFar
from apps.damocles.services.job_locks import damocles_job_lock, job_is_named
from apps.damocles.services.sector_locks import SectorName, damocles_sector_lock, living_require
from apps.sectors.models import DAMOCLES, DamoclesJob, DamoclesRecord, DamoclesSector, Store
from apps.sectors.selectors.damocles_hosts import damocles_jobs_in_hand
from apps.sectors.selectors.stores import (
    provers_of_store,
    share_disk,
    store_status,
    stores_room,
    stores_visible,
)
from apps.sectors.services.jobs.claims import ROOM_LOCK
from apps.users.rules.principals import Principal
from poolsite.wire.jobs import RUN_KINDS, JobKind
from poolsite.wire.pipeline import FINAL_STATES
from poolsite.wire.stores import StoreCondition


def damocles_reserve(
    principal: Principal, *, name: SectorName, size: int, candidates: Sequence[str], now: datetime
) -> Store | None:
    """Reserve room for a sector in one of the worker's stores; asked again, in the same one.

    None while no store takes it.  Raises NotDamocles, SectorEnded.
    """
    with damocles_sector_lock(principal, name=name, now=now) as one:
        living_require(one, name=name)
        one.go_on()
        one.lease()
        return _reserve(principal, one.record, name, size=size, candidates=candidates, now=now)


def damocles_job_reserve(
    principal: Principal, *, name: SectorName, size: int, candidates: Sequence[str], now: datetime
) -> Store | None:
    """Reserve room for what a job over a proven sector makes: an update goes beside the sector's own files.

    None while no store takes it.  Raises NotDamocles, SectorEnded, NotThatFar.
    """
    with damocles_job_lock(principal, name=name, kinds=RUN_KINDS, now=now) as one:
        one.require(name)
        one.begin()
        own = one.sector.store
        if one.job.kind == JobKind.SNAP_UP:
            if candidates and own not in candidates:
                raise NotThatFar(
                    gettext("{name} is in store {store}: attach that store there, writable").format(
                        name=name, store=own
                    )
                )
            candidates = [own]
        return _reserve(principal, one.record, name, size=size, candidates=candidates, prefers=own, now=now)


def _reserve(
    principal: Principal,
    record: DamoclesRecord,
    name: SectorName,
    *,
    size: int,
    candidates: Sequence[str],
    prefers: str = "",
    now: datetime,
) -> Store | None:
    transaction_lock(ROOM_LOCK, [str(principal.own_id)])
    fit = []
    stores = list(stores_visible(principal, now=now).filter(tenant_id=principal.own_id))
    for store in stores:
        is_named = not candidates or store.name in candidates
        if is_named and _accepts(store, name, stores=stores, size=size, now=now):
            fit.append(store)
    preferred = next((store for store in fit if store.name == (record.reserved_store or prefers)), None)
    chosen = preferred or max(fit, key=_preference, default=None)
    if chosen is not None:
        record.reserved_store, record.reserved_bytes = chosen.name, size
        record.save()
    return chosen


def damocles_release(principal: Principal, *, name: SectorName, now: datetime) -> bool:
    """Release what is kept free for a sector; return whether anything was.  Raises NotDamocles."""
    holding = damocles_job_lock if job_is_named(principal, name=name) else damocles_sector_lock
    with holding(principal, name=name, now=now) as one:
        had = bool(one.record.reserved_store)
        one.record.reserved_store, one.record.reserved_bytes = "", 0
        one.record.save(update_fields=["reserved_store", "reserved_bytes"])
        return had


def _preference(store: Store) -> tuple[int, str]:
    weight = int(store.rules.get("weight") or 1)
    return weight * store.free_bytes, store.name


def _accepts(store: Store, name: SectorName, *, stores: Sequence[Store], size: int, now: datetime) -> bool:
    """Return whether one of these stores has room for a sector, takes it by its rules, and can be proven."""
    if store_status(store, now=now).condition != StoreCondition.READY:
        return False
    allow, deny = store.rules.get("allow_miners") or (), store.rules.get("deny_miners") or ()
    if (
        name.miner_id in deny
        or (allow and name.miner_id not in allow)
        or not store.rules.get("can_store", True)
    ):
        return False
    its = Q(sector__number=name.number, sector__miner__actor_id=name.miner_id)

    def reserved(one: Store) -> int:
        kinds = (_reserved_sectors(one), _reserved_jobs(one))
        return sum(rows.exclude(its).aggregate(sum=Sum("reserved_bytes"))["sum"] or 0 for rows in kinds)

    # What is kept free in another store on its disk is free in none of them.
    beside = [one for one in stores if one.pk != store.pk and share_disk(one, store)]
    free = store.free_bytes
    if beside:
        free = min(free, stores_room([store, *beside])[0] - sum(map(reserved, beside)))
    return free - reserved(store) >= size and bool(provers_of_store(store, now=now))


def store_reservations_list(store: Store) -> list[DamoclesRecord]:
    """Return the sectors for which room is kept in a store, the oldest first."""
    kinds = (_reserved_sectors(store), _reserved_jobs(store))
    found = [one for rows in kinds for one in rows.select_related("sector__miner")]
    return sorted(found, key=lambda one: one.created_at)


def _reserved_jobs(store: Store) -> QuerySet[DamoclesJob]:
    """Return the jobs over proven sectors whose files are still to come into a store."""
    rows = damocles_jobs_in_hand().filter(worker__retired_at=None)
    return rows.filter(reserved_store=store.name, sector__tenant_id=store.tenant_id)


def _reserved_sectors(store: Store) -> QuerySet[DamoclesSector]:
    """Return the sectors whose files are still to come into a store.

    Not those that are over, however they ended, nor those that lie there: its host counts them as used; nor
    those whose damocles-worker is retired, or that one of the pool's own hosts seals since.
    """
    rows = DamoclesSector.objects.filter(reserved_store=store.name, sector__tenant_id=store.tenant_id)
    of_damocles = Q(sector__job__sticky_worker=None) | Q(
        sector__job__sticky_worker__kinds__contains=[DAMOCLES]
    )
    return (
        rows.filter(of_damocles, finished_at=None, sector__job__sticky_worker__retired_at=None)
        .exclude(sector__state__in=FINAL_STATES)
        .exclude(sector__store=F("reserved_store"))
    )
