"""Hosts in one condition, counted and chosen by the database: of thousands few are in any."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from django.db import connection
from django.db.models import BooleanField, Count, Func, Q, QuerySet, Value
from django.db.models.functions import Coalesce, NullIf

from apps.core.compiled import Compiled
from apps.core.uuids import is_uuid
from apps.sectors.models import DAMOCLES, Worker
from apps.sectors.rules.hardware import FOLDER_LOST, PERHAPS_SHORT, PLANS, SEALING_AWAY
from apps.sectors.rules.policy import sealing_policy
from apps.sectors.selectors.damocles_hosts import PLANNED
from apps.users.rules.principals import Principal
from poolsite.wire.jobs import JobKind

BRIEF: Final = (
    *("uuid", "name", "tenant_id", "seen_at", "is_paused", "is_draining"),
    *("last_error", "last_error_coded"),
)


def _hardware(path: str) -> Func:
    """Return whether a host's hardware has what a path of JSON asks for; false where it is malformed."""
    template = "jsonb_path_exists(%(expressions)s, '{}', true)"
    return Func("hardware", Value(path), template=template, output_field=BooleanField())


def hosts_known(viewer: Principal) -> QuerySet[Worker]:
    """Return the hosts that this caller may know of by their names, without what they do."""
    rows = Worker.objects.filter(retired_at=None).order_by("name", "pk")
    return rows if viewer.sees_pool else rows.filter(tenant_id=viewer.own_id)


def away_since(now: datetime) -> datetime:
    """Return since when a host must have been heard of to be there."""
    return now - timedelta(seconds=sealing_policy().worker_away_s)


def hosts_gone(viewer: Principal, *, now: datetime) -> QuerySet[Worker]:
    """Return the hosts that have been silent for too long."""
    return hosts_known(viewer).filter(seen_at__lt=away_since(now))


def hosts_here(viewer: Principal, *, now: datetime) -> QuerySet[Worker]:
    """Return the hosts that are there."""
    return hosts_known(viewer).filter(seen_at__gte=away_since(now))


def hosts_told(rows: QuerySet[Worker], path: str) -> QuerySet[Worker]:
    """Return those of these hosts whose hardware has what a path of `rules.hardware` asks for."""
    return rows.filter(_hardware(path))


class HostCounts(NamedTuple):
    """How many hosts there are in each condition; all but `away` and `all` are of those that are there."""

    all: int
    away: int
    paused: int
    """Paused or draining."""
    perhaps_short: int
    folder_lost: int
    sealing_away: int


def _counted(rows: QuerySet[Worker], since: Any) -> QuerySet[Any, tuple[int, ...]]:
    here, is_none = Q(seen_at__gte=since), Value(1)
    counts = {
        "all": Count("pk"),
        "away": Count("pk", filter=Q(seen_at__lt=since)),
        "paused": Count("pk", filter=here & (Q(is_paused=True) | Q(is_draining=True))),
        "perhaps_short": Count("pk", filter=here & Q(_hardware(PERHAPS_SHORT))),
        "folder_lost": Count("pk", filter=here & Q(_hardware(FOLDER_LOST))),
        "sealing_away": Count("pk", filter=here & Q(_hardware(SEALING_AWAY))),
    }
    grouped = rows.order_by().annotate(one=is_none).values("one").annotate(**counts)
    return grouped.values_list(*HostCounts._fields)


COUNTS: Final[Compiled[tuple[int, ...]]] = Compiled(
    "hosts_counted",
    lambda since: _counted(Worker.objects.filter(retired_at=None), since),
    since="timestamptz",
)


def host_counts(viewer: Principal, *, now: datetime) -> HostCounts:
    """Return how many of the viewer's hosts are in each condition; for the operator compiled once."""
    since = away_since(now)
    rows = COUNTS.rows(since=since) if viewer.sees_pool else list(_counted(hosts_known(viewer), since))
    return HostCounts(*rows[0]) if rows else HostCounts(0, 0, 0, 0, 0, 0)


STAGES_SERVED: Final = f"""
    SELECT DISTINCT tenant_id, stage.key
    FROM {Worker._meta.db_table} host, jsonb_each(host.slots) stage
    WHERE retired_at IS NULL AND NOT is_paused AND seen_at >= %s AND kinds ? %s
        AND stage.value NOT IN ('0', 'null') AND (%s OR tenant_id = %s)
"""  # noqa: S608  # constants
STORES_READ: Final = f"""
    SELECT tenant_id, array_agg(DISTINCT store)
    FROM {Worker._meta.db_table} host, jsonb_array_elements_text(host.stores) store
    WHERE retired_at IS NULL AND (%s OR tenant_id = %s) GROUP BY tenant_id
"""  # noqa: S608  # constants


def _rows_of(text: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(text, values)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def stages_served(viewer: Principal, *, now: datetime) -> set[tuple[int, str]]:
    """Return for which stages hosts that claim work have slots, each with their tenant's key."""
    values = [away_since(now), JobKind.SEAL, viewer.sees_pool, viewer.own_id]
    return {(tenant, stage) for tenant, stage in _rows_of(STAGES_SERVED, values)}


def stores_of_hosts(viewer: Principal) -> dict[int, set[str]]:
    """Return the names of the stores that hosts read, by tenant: two tenants may have one name."""
    return {tenant: set(names) for tenant, names in _rows_of(STORES_READ, [viewer.sees_pool, viewer.own_id])}


def tenants_proving(viewer: Principal, *, now: datetime) -> QuerySet[Worker, int]:
    """Return the keys of the tenants of which a host that claims work proves windows."""
    rows = hosts_here(viewer, now=now).filter(is_paused=False, kinds__contains=[JobKind.WINDOW_POST])
    return rows.order_by().values_list("tenant_id", flat=True)


def tenants_of_kind(viewer: Principal, kind: str) -> set[int]:
    """Return the keys of the tenants of which a host does jobs of a kind."""
    rows = hosts_known(viewer).filter(kinds__contains=[kind]).order_by()
    return set(rows.values_list("tenant_id", flat=True).distinct())


def hosts_called(rows: QuerySet[Worker], text: str) -> QuerySet[Worker]:
    """Return the hosts whose name or machine's name contains `text`, or whose uuid it is."""
    found = Q(name__icontains=text) | Q(host__icontains=text)
    return rows.filter(found | Q(uuid=text) if is_uuid(text) else found)


def hosts_doing(rows: QuerySet[Worker], kinds: Collection[str]) -> QuerySet[Worker]:
    """Return the hosts that do jobs of one of these kinds."""
    does = Q(pk__in=())
    for kind in kinds:
        does |= Q(kinds__contains=[kind])
    return rows.filter(does)


def machines_known(viewer: Principal, text: str, limit: int) -> list[str]:
    """Return names of the viewer's machines that contain `text`; roles are given by these names."""
    machine = Coalesce(NullIf("host", Value("")), "name")
    rows = hosts_known(viewer).annotate(machine=machine).filter(machine__icontains=text)
    return list(rows.order_by("machine").values_list("machine", flat=True).distinct()[:limit])


def hosts_with_slots(rows: QuerySet[Worker], stage: str) -> QuerySet[Worker]:
    """Return those of these hosts that have slots for a stage."""
    return rows.filter(**{f"slots__{stage}__gt": 0})


def tenants_with_plans(viewer: Principal, kind: str, *, now: datetime) -> set[int]:
    """Return the keys of the tenants whose damocles-workers have lately asked for jobs of a kind."""
    asked_since = {f"hardware__{PLANS}__{kind}__gt": (now - PLANNED).timestamp()}
    rows = hosts_known(viewer).filter(kinds__contains=[DAMOCLES], **asked_since)
    return set(rows.order_by().values_list("tenant_id", flat=True).distinct())


def first_names(rows: QuerySet[Worker], many: int) -> list[str]:
    """Return the names of the first of these hosts."""
    return list(rows.values_list("name", flat=True)[:many])


def hosts_briefly(rows: QuerySet[Worker], many: int) -> list[Worker]:
    """Return the first of these hosts, without what only their own pages show."""
    return list(rows.only(*BRIEF)[:many])
