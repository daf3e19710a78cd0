"""The list of stores by state and label: chosen, ordered and counted by the database, a page at a time."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db import connection
from django.db.models import (
    Case,
    Count,
    Exists,
    F,
    Func,
    IntegerField,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Coalesce

from apps.sectors.models import SectorCopy, Store, StoreAttachment
from apps.sectors.selectors.host_groups import away_since
from apps.sectors.selectors.store_checks import copies_in_use
from apps.sectors.selectors.stores import BEST_FIRST
from apps.sectors.states import CopyCondition
from apps.users.rules.principals import Principal
from poolsite.wire.jobs import JobKind
from poolsite.wire.stores import READABLE, StoreCondition

BAD, WARN, WELL, SET = "bad", "warn", "ok", "idle"
"""Tones: what needs somebody now or soon, what is well, and what somebody wants so."""
RANKS: Final = {BAD: 0, WARN: 1}
"""Order of the list: those that need somebody first."""
NOT_READ: Final = len(BEST_FIRST)
PLACES: Final = {condition: place for place, condition in enumerate(BEST_FIRST)}
STATES: Final = {
    "": Q(),
    "ready": Q(tone=WELL),
    "trouble": Q(tone__in=[BAD, WARN]),
    "readonly": Q(best=PLACES[StoreCondition.READ_ONLY]),
}
"""By which a list of stores can be asked for."""
LABELS: Final = f"""
    SELECT DISTINCT label FROM {Store._meta.db_table}, jsonb_array_elements_text(labels) label
    WHERE %s OR tenant_id = %s ORDER BY label LIMIT %s
"""  # noqa: S608  # constants


def stores_read(rows: QuerySet[Store], *, now: datetime) -> QuerySet[Store]:
    """Return stores, each with the place of its `best` condition."""
    heard = _held().filter(worker__seen_at__gte=away_since(now))
    place = Case(
        *(When(Q(condition=condition), then=Value(at)) for condition, at in PLACES.items()),
        default=Value(NOT_READ),
        output_field=IntegerField(),
    )
    best = heard.annotate(place=place).order_by("place").values("place")[:1]
    return rows.annotate(best=Coalesce(Subquery(best), NOT_READ))


def stores_stated(rows: QuerySet[Store], *, now: datetime) -> QuerySet[Store]:
    """Return stores, those that need somebody first, each with its `tone`, its `rank` and the place of its
    `best` condition.
    """
    copies = copies_in_use(SectorCopy.objects.filter(store=OuterRef("pk"), condition=CopyCondition.BAD))
    unproven = Q(sectors__gt=0) & ~Exists(_held().filter(worker__kinds__contains=[JobKind.WINDOW_POST]))
    warned = (StoreCondition.READ_ONLY, StoreCondition.FULL, StoreCondition.TWICE)
    steps: tuple[tuple[Any, str], ...] = (
        (unproven | Q(Exists(copies)), BAD),
        (Q(best=PLACES[StoreCondition.READY]), WELL),
        (Q(best=PLACES[StoreCondition.READ_ONLY], rules__contains={"is_read_only": True}), SET),
        (Q(best__in=[PLACES[one] for one in warned]), WARN),
    )
    tone = Case(*(When(condition, then=Value(tone)) for condition, tone in steps), default=Value(BAD))
    # An array, as each `WHEN` of a `CASE` would have the whole expression of the tone in it.
    place = Func(Value([*RANKS]), F("tone"), function="array_position", output_field=IntegerField())
    found = stores_read(rows, now=now).annotate(tone=tone)
    return found.annotate(rank=Coalesce(place - 1, len(RANKS))).order_by("rank", "name", "pk")


def _held() -> QuerySet[StoreAttachment]:
    return StoreAttachment.objects.filter(store=OuterRef("pk"), worker__retired_at=None)


def stores_by_state(rows: QuerySet[Store]) -> dict[str, int]:
    """Return how many of `stores_stated` each state has."""
    found = dict.fromkeys(STATES, 0)
    stated: Any = rows.order_by()  # whose annotations its type does not know
    for tone, best, count in stated.values_list("tone", "best").annotate(count=Count("pk")):
        found[""] += count
        found["ready"] += count if tone == WELL else 0
        found["trouble"] += count if tone in (BAD, WARN) else 0
        found["readonly"] += count if best == PLACES[StoreCondition.READ_ONLY] else 0
    return found


def store_labels(viewer: Principal, limit: int) -> list[str]:
    """Return the first labels that stores have."""
    with connection.cursor() as cursor:
        cursor.execute(LABELS, [viewer.sees_pool, viewer.own_id, limit])
        return [label for (label,) in cursor.fetchall()]


def stores_sized(viewer: Principal, *, now: datetime) -> tuple[list[Store], list[Store]]:
    """Return all stores with their sizes and disks alone, and those of them that can be read."""
    places = StoreAttachment.objects.filter(worker__retired_at=None).only("store_id", "worker_id", "disk")
    sizes = ("total_bytes", "free_bytes", "reserved_bytes", "disk_bytes", "disk_free_bytes")
    own = Store.objects.all() if viewer.sees_pool else Store.objects.filter(tenant_id=viewer.own_id)
    rows = stores_read(own, now=now).order_by().only(*sizes)
    stores: list[Store] = list(
        rows.prefetch_related(Prefetch("attachments", queryset=places, to_attr="attached"))
    )
    readable = {PLACES[StoreCondition(condition)] for condition in READABLE}
    return stores, [store for store in stores if getattr(store, "best", NOT_READ) in readable]
