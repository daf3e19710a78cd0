"""Stores in one condition, chosen by the database: a large pool has hundreds, and few are in any."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.core.clock import DAY_S
from apps.core.prepared_statements import Prepared
from apps.core.uuids import is_uuid
from apps.miners.models import Miner
from apps.sectors.models import Sector, SectorCopy, Store, StoreAttachment, StoreSample, Worker
from apps.sectors.selectors.host_groups import away_since
from apps.sectors.selectors.stores import RATE_LEAST, RATE_OVER
from apps.sectors.states import CopyCondition
from apps.users.rules.principals import Principal
from poolsite.wire.jobs import JobKind
from poolsite.wire.stores import UNBOUNDED_BYTES, StoreCondition

FULL_SOON_DAYS: Final = 7
SETTLES: Final = timedelta(minutes=1)
"""A store that was attached a moment ago may get its prover in the next: sealer and prover start together."""
UNREACHED: Final = f"""
    WITH host AS (
        SELECT tenant_id, stores, seen_at >= %(since)s AS is_here FROM {Worker._meta.db_table}
        WHERE retired_at IS NULL AND (%(all)s OR tenant_id = %(own)s)
    ), known AS (
        SELECT tenant_id, one.name, bool_or(is_here) AS is_read
        FROM host, jsonb_array_elements_text(stores) one(name) GROUP BY tenant_id, one.name
    )
    SELECT tenant_id, name FROM known WHERE NOT is_read
    UNION SELECT tenant_id, name FROM {Store._meta.db_table} WHERE (%(all)s OR tenant_id = %(own)s)
    EXCEPT SELECT tenant_id, name FROM known WHERE is_read
"""  # noqa: S608  # constants
PROVED: Final = f"""
    SELECT store.id, one.miner_id, count(*) FROM {Store._meta.db_table} store
    CROSS JOIN LATERAL (
        SELECT miner_id FROM {Sector._meta.db_table} sector
        WHERE sector.store = store.name AND sector.tenant_id = store.tenant_id
            AND sector.state = 'PROVING' AND sector.active
            AND (%(all)s OR sector.miner_id IN
                (SELECT id FROM {Miner._meta.db_table} WHERE actor_id = ANY(%(miners)s)))
        LIMIT %(limit)s
    ) one
    WHERE store.id = ANY(%(stores)s) GROUP BY store.id, one.miner_id
"""  # noqa: S608  # constants
MARKS: Final = f"""
    WITH held AS (
        SELECT store_id, bool_or(one.kinds ? '{JobKind.WINDOW_POST}') AS has_prover,
            bool_or(seen_at >= $3 AND since <= $4) AS is_settled,
            bool_or(seen_at >= $3 AND condition = 'READY') AS is_ready,
            bool_or(seen_at >= $3 AND condition NOT IN ('READY', 'AWAY')) AS is_ill
        FROM {StoreAttachment._meta.db_table} attached
        JOIN {Worker._meta.db_table} one ON one.id = attached.worker_id
        WHERE retired_at IS NULL AND ($1 OR tenant_id = $2) GROUP BY store_id
    ), proved AS (
        SELECT tenant_id, read.name FROM {Worker._meta.db_table}, jsonb_array_elements_text(stores) read(name)
        WHERE retired_at IS NULL AND kinds ? '{JobKind.WINDOW_POST}' AND ($1 OR tenant_id = $2)
    ), known AS (
        SELECT store.*, held.*, rules @> '{{"is_read_only": true}}' AS is_read_only,
            total_bytes - free_bytes - reserved_bytes - first.used_bytes AS grown,
            told_at - first.at AS span
        FROM {Store._meta.db_table} store JOIN held ON store_id = store.id
        LEFT JOIN LATERAL (
            SELECT at, used_bytes FROM {StoreSample._meta.db_table} sample
            WHERE sample.store_id = store.id AND at >= $5 ORDER BY at LIMIT 1
        ) first ON true
        WHERE $1 OR tenant_id = $2
    ), marked AS (
        SELECT id, tenant_id, name, sectors,
            takes AND is_ill AND NOT is_ready AS is_faulty,
            (takes OR sectors > 0) AND is_settled AND NOT has_prover
                AND (tenant_id, name) NOT IN (SELECT tenant_id, name FROM proved) AS is_unproven,
            NOT is_read_only AND total_bytes < {UNBOUNDED_BYTES} AND grown > 0 AND span >= $6
                AND free_bytes::numeric * extract(epoch FROM span)
                    < grown * {FULL_SOON_DAYS * DAY_S}::numeric AS is_filling
        FROM known, LATERAL (
            SELECT NOT is_read_only AND NOT rules @> '{{"can_store": false}}' AS takes
        ) rule
    )
    SELECT id, is_faulty, is_unproven, coalesce(is_filling AND NOT is_faulty, false) FROM marked
    WHERE is_faulty OR is_unproven OR is_filling
"""  # noqa: S608  # constants
MARKED: Final = Prepared(
    "stores_marked", MARKS, ["boolean", "bigint", "timestamptz", "timestamptz", "timestamptz", "interval"]
)


@dataclass(frozen=True, slots=True)
class StoreMarks:
    """Keys of the stores that need somebody, by why."""

    faulty: tuple[int, ...] = ()
    """They are to take sectors, and hosts read them and can put none into."""
    unproven: tuple[int, ...] = ()
    """Hosts read them for a while, they have sectors or are to, and no prover has them."""
    filling: tuple[int, ...] = ()
    """They may be full within `FULL_SOON_DAYS`, and take sectors until then."""


def _rows_of(text: str, **values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(text, values)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def stores_known(viewer: Principal) -> QuerySet[Store]:
    """Return the stores that this caller may know of by their names, without where they are attached."""
    rows = Store.objects.order_by("name", "pk")
    return rows if viewer.sees_pool else rows.filter(tenant_id=viewer.own_id)


def stores_called(rows: QuerySet[Store], text: str) -> QuerySet[Store]:
    """Return the stores whose name contains `text`, or whose uuid it is."""
    return rows.filter(Q(name__icontains=text) | Q(uuid=text) if is_uuid(text) else Q(name__icontains=text))


def stores_named(viewer: Principal, names: Mapping[int, Collection[str]]) -> QuerySet[Store]:
    """Return the stores with one of these names, by tenant."""
    wanted = Q(pk__in=())
    for tenant_id, own in names.items():
        wanted |= Q(tenant=tenant_id, name__in=own)
    return stores_known(viewer).filter(wanted)


def stores_unreached(viewer: Principal, *, now: datetime) -> dict[int, set[str]]:
    """Return the names of the stores that no host reads which is there, by tenant."""
    missing: dict[int, set[str]] = {}
    values = {"since": away_since(now), "all": viewer.sees_pool, "own": viewer.own_id}
    for tenant_id, name in _rows_of(UNREACHED, **values):
        missing.setdefault(tenant_id, set()).add(name)
    return missing


def _attached(now: datetime) -> QuerySet[StoreAttachment]:
    """Return where hosts that are there have stores attached."""
    return StoreAttachment.objects.filter(worker__retired_at=None, worker__seen_at__gte=away_since(now))


def attachments_faulty(stores: QuerySet[Store], *, now: datetime) -> QuerySet[StoreAttachment]:
    """Return where hosts that are there have these stores and find a fault, by store."""
    rows = _attached(now).filter(store__in=stores.order_by().values("pk"))
    rows = rows.exclude(condition=StoreCondition.READY).select_related("worker")
    return rows.order_by("store__name", "store_id", "worker__name", "path")


def store_marks(viewer: Principal, *, now: datetime) -> StoreMarks:
    """Return which of the viewer's stores need somebody, found by one statement however many there are."""
    values = [viewer.sees_pool, viewer.own_id, away_since(now), now - SETTLES, now - RATE_OVER, RATE_LEAST]
    rows = MARKED.rows(values)
    return StoreMarks(*(tuple(row[0] for row in rows if row[place]) for place in (1, 2, 3)))


def stores_by_keys(keys: Collection[int]) -> QuerySet[Store]:
    """Return these stores by their names, without where they are attached."""
    return Store.objects.filter(pk__in=keys).order_by("name", "pk")


def stores_damaged(viewer: Principal) -> list[Store]:
    """Return the stores of which a check found a copy damaged."""
    bad = SectorCopy.objects.filter(store=OuterRef("pk"), condition=CopyCondition.BAD)
    return list(stores_known(viewer).filter(Exists(bad)))


def paths_here(stores: Iterable[Store], *, now: datetime) -> dict[int, str]:
    """Return the first path at which a host that is there has each of these stores, by store."""
    rows = _attached(now).filter(store__in=[store.pk for store in stores])
    rows = rows.order_by("store_id", "worker__name", "path").distinct("store_id")
    return dict(rows.values_list("store_id", "path"))


def proved_counts(
    stores: Iterable[Store], *, miners: Collection[int], limit: int
) -> dict[int, dict[int, int]]:
    """Return how many active sectors lie in each of these stores, by store and miner; the first `limit`.

    Of these miners alone, if any are named.
    """
    counts: dict[int, dict[int, int]] = {}
    keys = [store.pk for store in stores]
    values = {"all": not miners, "miners": list(miners), "limit": limit, "stores": keys}
    for store, miner, count in _rows_of(PROVED, **values):
        counts.setdefault(store, {})[miner] = count
    return counts
