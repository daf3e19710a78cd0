"""Reads of stores: who may see them, how fast they fill, what lies in them alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Exists, OuterRef, Prefetch, QuerySet, Subquery

from apps.core.marked_texts import gettext
from apps.core.uuids import is_uuid
from apps.sectors.errors.hosts import WorkerUnknown
from apps.sectors.errors.stores import StoreAmbiguous, StoreUnknown
from apps.sectors.models import Sector, Store, StoreAttachment, StoreSample, Worker, WorkerCommand
from apps.sectors.rules.policy import sealing_policy
from apps.sectors.selectors.hosts import SHOWN_IDS, worker_is_away
from apps.sectors.states import DETACHED
from apps.users.rules.principals import Principal
from poolsite.wire.commands import Operation
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SECTOR_STATES
from poolsite.wire.stores import READABLE, StoreCondition, shared_disk_space

COUNTED_MAX: Final = 1_000
"""Sectors of one state that a store's page counts; a store may hold a hundred thousand."""
RATE_OVER: Final = timedelta(days=7)
"""The rate at which a store fills is measured over this time."""
RATE_LEAST: Final = timedelta(days=1)
"""Shortest span from which a rate is computed: minutes say nothing of a day."""
FORECAST_TIMES: Final = 24
"""Longest forecast, as a multiple of the days measured."""
SILENT: Final = "SILENT"
"""Of a store whose hosts are all away."""
BEST_FIRST: Final = (
    *(StoreCondition.READY, StoreCondition.FULL, StoreCondition.READ_ONLY, StoreCondition.TWICE),
    *(StoreCondition.BAD_MARK, StoreCondition.REPLACED, StoreCondition.AWAY),
)
SHOWN: Final = (Operation.ATTACH, Operation.DETACH, Operation.SET_STORE)
"""Orders that a list shows by themselves; copies are shown as moves."""
ORDERS_SHOWN: Final = 20
ORDERS_S: Final = timedelta(days=1)


def stores_visible(viewer: Principal, *, now: datetime) -> QuerySet[Store]:
    """Return the stores that this caller may know of.

    Each with its attachments as `attached`, and its first measure of the last days as `first_at` and
    `first_used`.
    """
    attached = Prefetch("attachments", queryset=_attachments(), to_attr="attached")
    stores = _measured(now - RATE_OVER).prefetch_related(attached)
    return stores if viewer.sees_pool else stores.filter(tenant_id=viewer.own_id)


def _attachments() -> QuerySet[StoreAttachment]:
    rows = StoreAttachment.objects.filter(worker__retired_at=None).select_related("worker")
    return rows.order_by("worker__name", "path")


def _measured(since: Any) -> QuerySet[Store]:
    """Return the stores, each with its first measure since a moment."""
    first = StoreSample.objects.filter(store=OuterRef("pk"), at__gte=since).order_by("at")
    return (
        Store.objects.select_related("tenant")
        .annotate(first_at=Subquery(first.values("at")[:1]))
        .annotate(first_used=Subquery(first.values("used_bytes")[:1]))
    )


def attachments_of(store: Store) -> list[StoreAttachment]:
    """Return the hosts that have a store of `stores_visible`."""
    return getattr(store, "attached", [])


def store_get(viewer: Principal, name: str, *, now: datetime) -> Store:
    """Return the store with this uuid, or with this name if no other has it.

    Raises StoreUnknown, StoreAmbiguous.
    """
    by = {"uuid": name} if is_uuid(name) else {"name": name}
    found = list(stores_visible(viewer, now=now).filter(**by)[:SHOWN_IDS])
    if len(found) > 1:
        raise StoreAmbiguous(name, [str(one.uuid) for one in found])
    if not found:
        raise StoreUnknown(name)
    return found[0]


def store_named(viewer: Principal, text: str, *, tenant_id: int, now: datetime) -> Store:
    """Return the store with this uuid, or the tenant's with this name.  Raises StoreUnknown."""
    if is_uuid(text):
        return store_get(viewer, text, now=now)
    store = stores_visible(viewer, now=now).filter(tenant_id=tenant_id, name=text).first()
    if store is None:
        raise StoreUnknown(text)
    return store


def attachment_get(store: Store, worker_uuid: str) -> StoreAttachment:
    """Return where a host has a store attached.  Raises WorkerUnknown."""
    rows = store.attachments.select_related("worker", "store")
    row = rows.filter(worker__uuid=worker_uuid).first() if is_uuid(worker_uuid) else None
    if row is None:
        raise WorkerUnknown(worker_uuid)
    return row


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """The condition of a store as a whole: the best that one of its hosts finds."""

    condition: str
    """A `StoreCondition`, DETACHED or SILENT."""
    reason: str = ""

    @property
    def is_readable(self) -> bool:
        """Return whether its sectors can be proven."""
        return self.condition in READABLE


def store_status(store: Store, *, now: datetime) -> StoreStatus:
    """Return the condition of a store as a whole."""
    attached = attachments_of(store)
    if not attached:
        return StoreStatus(
            DETACHED, gettext("not attached to any host: attach it on the host that has its disk")
        )
    heard = [row for row in attached if not worker_is_away(row.worker, now=now)]
    if not heard:
        names = ", ".join(sorted({row.worker.name for row in attached}))
        return StoreStatus(
            SILENT, gettext("no heartbeat from {hosts}: restart the worker there").format(hosts=names)
        )
    best = min(heard, key=lambda row: BEST_FIRST.index(StoreCondition(row.condition)))
    return StoreStatus(best.condition, best.reason)


def store_rate_span(store: Store) -> timedelta | None:
    """Return the span over which the rate of a store of `stores_visible` was measured.

    None while that is too short, and of a store that no host has: what its disk got since is unknown.
    """
    first_at: datetime | None = getattr(store, "first_at", None)
    if first_at is None or store.told_at is None or not attachments_of(store):
        return None
    span = store.told_at - first_at
    return span if span >= RATE_LEAST else None


def store_rate_wait(store: Store) -> timedelta | None:
    """Return in what time the rate of a store of `stores_visible` can be told; None if it can, or never."""
    first_at: datetime | None = getattr(store, "first_at", None)
    if first_at is None or store.told_at is None or not attachments_of(store):
        return None
    left = RATE_LEAST - (store.told_at - first_at)
    return left if left > timedelta() else None


def store_fill_rate(store: Store) -> float | None:
    """Return the bytes a day that were put into a store of `stores_visible` lately; None while not known."""
    if (span := store_rate_span(store)) is None:
        return None
    used = store.total_bytes - store.free_bytes - store.reserved_bytes
    first_used: int = getattr(store, "first_used", 0)
    return (used - first_used) / (span / timedelta(days=1))


def stores_room(stores: Iterable[Store]) -> tuple[int, int]:
    """Return the free and all bytes of stores of `stores_visible`; what shares a disk is counted once."""
    same: dict[object, object] = {}

    def disk_of(one: object) -> object:
        while same.setdefault(one, one) != one:
            one = same[one]
        return one

    disks_of = {store: _disks_of(store) for store in stores}
    for first, *others in disks_of.values():
        for disk in others:  # a shared store: by what name another host knows this disk
            same[disk_of(disk)] = disk_of(first)
    rooms: dict[object, list[Store]] = {}
    for store, disks in disks_of.items():
        rooms.setdefault(disk_of(disks[0]), []).append(store)
    together = [shared_disk_space(beside) for beside in rooms.values()]
    return sum(free for free, _ in together), sum(total for _, total in together)


def share_disk(one: Store, other: Store) -> bool:
    """Return whether two stores of `stores_visible` lie on one disk of a host."""
    return not set(_disks_of(one)).isdisjoint(_disks_of(other))


def _disks_of(store: Store) -> list[object]:
    """Return the disks on which hosts have a store; itself where none tells that."""
    return [(row.worker_id, row.disk) for row in attachments_of(store) if row.disk] or [store.pk]


def store_days_left(store: Store, rate: float | None) -> float | None:
    """Return in how many days a store of `stores_visible` is full at this rate.

    None if it does not fill, has no bound, or was measured for too short a time to tell.
    """
    if not store.is_bounded or rate is None or rate <= 0:
        return None
    days, span = store.free_bytes / rate, store_rate_span(store)
    return days if span is not None and days <= FORECAST_TIMES * (span / timedelta(days=1)) else None


def store_sector_counts(store: Store) -> dict[str, int]:
    """Return how many sectors of each state name this store, counted up to one more than `COUNTED_MAX`."""
    rows = Sector.objects.filter(tenant_id=store.tenant_id, store=store.name).order_by()
    first, *others = (
        rows.filter(state=state).values_list("state", flat=True)[: COUNTED_MAX + 1] for state in SECTOR_STATES
    )
    return dict(Counter(first.union(*others, all=True)))


def hosts_of_store(store: Store, conditions: Collection[str], *, now: datetime) -> list[Worker]:
    """Return the hosts that are there and have a store in one of these conditions."""
    rows = store.attachments.filter(condition__in=conditions, worker__retired_at=None)
    found = (row.worker for row in rows.select_related("worker").order_by("worker_id"))
    return [worker for worker in found if not worker_is_away(worker, now=now)]


def stores_unread(viewer: Principal, *, now: datetime) -> list[str]:
    """Return the names of the stores of this caller that no host reads now, sorted."""
    heard_since = now - timedelta(seconds=sealing_policy().worker_away_s)
    reads = StoreAttachment.objects.filter(
        store=OuterRef("pk"),
        condition__in=READABLE,
        worker__retired_at=None,
        worker__seen_at__gte=heard_since,
    )
    stores = Store.objects.filter(~Exists(reads))
    stores = stores if viewer.sees_pool else stores.filter(tenant_id=viewer.own_id)
    return sorted(set(stores.values_list("name", flat=True)))


def provers_of_store(store: Store, *, now: datetime) -> list[Worker]:
    """Return the provers that are there and read a store, but for those that are told to detach it."""
    orders = WorkerCommand.objects.filter(op=Operation.DETACH, args__uid=store.uid, done_at=None)
    going = set(orders.values_list("worker_id", flat=True))
    hosts = hosts_of_store(store, READABLE, now=now)
    return [one for one in hosts if str(JobKind.WINDOW_POST) in one.kinds and one.pk not in going]


def store_orders(viewer: Principal, *, now: datetime) -> list[tuple[WorkerCommand, str]]:
    """Return what hosts were lately told to do with stores, the newest first, each with its store's name.

    The name is empty of a store that is not attached yet, or that is forgotten.
    """
    rows = WorkerCommand.objects.filter(op__in=SHOWN, created_at__gt=now - ORDERS_S)
    if not viewer.sees_pool:
        rows = rows.filter(worker__tenant_id=viewer.own_id)
    orders = list(rows.select_related("worker").order_by("-pk")[:ORDERS_SHOWN])
    found = [(order, (order.worker.tenant_id, order.args.get("uid", ""))) for order in orders]
    stores = Store.objects.filter(uid__in={uid for _, (_, uid) in found})
    names = {(store.tenant_id, store.uid): store.name for store in stores}
    return [(order, names.get(key, "")) for order, key in found]
