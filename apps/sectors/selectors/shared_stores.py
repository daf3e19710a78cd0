"""Room in stores that several sealing hosts share: what any of them has started is still to come there."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final

from django.db.models import Count, QuerySet

from apps.sectors.models import Sector, Store, StoreAttachment, Worker
from apps.sectors.selectors.stores import stores_room
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SEALING, SectorState
from poolsite.wire.stores import StoreCondition
from poolsite.wire.sums import stored_bytes

COMING: Final = tuple(
    str(spec.state) for spec in takewhile(lambda spec: spec.state != SectorState.PERSISTED, SEALING)
)
"""States of sectors whose files are in no store yet."""


@dataclass(frozen=True, slots=True)
class SharedRoom:
    """Stores that sealing hosts share, and what these hosts have started."""

    stores: tuple[str, ...]
    """Names, as the host's tenant knows them, of those that it has and can write."""
    free_bytes: int
    coming: int
    """Sectors of hosts that have no other stores, which are in none yet."""
    coming_bytes: int

    @property
    def left_bytes(self) -> int:
        """Return what a further sector may take."""
        return self.free_bytes - self.coming_bytes


def stores_are_shared(worker: Worker) -> bool:
    """Return whether another sealing host has one of a host's stores."""
    return _sharing(worker).exists()


def shared_room(worker: Worker) -> SharedRoom | None:
    """Return the tightest room that a sealing host shares with others; None where it shares no store.

    A sector goes to any store of its host.  So for the host's stores, together with those of each host that
    shares one of them, all sectors must fit there of hosts that have no other stores.  Stores that two
    tenants' hosts have count as one by their identity.
    """
    sharing = set(_sharing(worker).values_list("worker_id", flat=True))
    if not sharing:
        return None
    stores = _stores_of([worker.pk, *sharing])
    own, coming = stores.get(worker.pk, {}), _coming(list(stores))
    names = tuple(sorted(store.name for store in own.values()))
    rooms = {}
    for other in (worker.pk, *sharing):
        among = own | stores.get(other, {})
        if frozenset(among) not in rooms:
            rooms[frozenset(among)] = _room(among, stores=stores, coming=coming, names=names)
    return min(rooms.values(), key=lambda one: one.left_bytes)


_SEALS: Final[dict[str, Any]] = {"worker__retired_at": None, "worker__kinds__contains": [JobKind.SEAL]}


def _sharing(worker: Worker) -> QuerySet[StoreAttachment]:
    """Return where other sealing hosts have the stores of a host."""
    own = worker.attachments.values("store__uid")
    return StoreAttachment.objects.filter(store__uid__in=own, **_SEALS).exclude(worker=worker).order_by()


def _stores_of(workers: list[int]) -> dict[int, dict[str, Store]]:
    """Return the stores of hosts that sectors are put into, by host and identity.

    Each as the tenant of the first of these hosts knows it, where it does.
    """
    rows = StoreAttachment.objects.filter(worker__in=workers, **_SEALS).select_related("store")
    found: dict[int, dict[str, Store]] = {}
    stores: dict[str, Store] = {}
    for row in sorted(rows.order_by("pk"), key=lambda one: one.worker_id != workers[0]):
        if row.condition != StoreCondition.READY or not row.store.rules.get("can_store", True):
            continue
        store = stores.setdefault(row.store.uid, row.store)
        store.attached = [*getattr(store, "attached", ()), row]  # type: ignore[attr-defined]  # as a prefetch does
        found.setdefault(row.worker_id, {})[store.uid] = store
    return found


def _coming(workers: list[int]) -> dict[int, list[tuple[int, int]]]:
    """Return by host how many sectors of which size it has started that are in no store yet."""
    rows = Sector.objects.filter(state__in=COMING, job__sticky_worker__in=workers).order_by()
    found: dict[int, list[tuple[int, int]]] = {}
    for host, size, count in rows.values_list("job__sticky_worker", "sector_size").annotate(Count("pk")):
        found.setdefault(host, []).append((size, count))
    return found


def _room(
    among: dict[str, Store],
    *,
    stores: dict[int, dict[str, Store]],
    coming: dict[int, list[tuple[int, int]]],
    names: tuple[str, ...],
) -> SharedRoom:
    started = [
        one for host, own in stores.items() if own.keys() <= among.keys() for one in coming.get(host, ())
    ]
    return SharedRoom(
        stores=names,
        free_bytes=stores_room(among.values())[0],
        coming=sum(count for _, count in started),
        coming_bytes=sum(stored_bytes(size) * count for size, count in started),
    )
