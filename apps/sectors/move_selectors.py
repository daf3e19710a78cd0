"""Reads of moves between stores: those of a store, and what one that has not begun waits for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Q

from apps.sectors.host_models import WorkerCommand
from apps.sectors.states import OPEN_MOVES, MoveState
from apps.sectors.store_models import Store, StoreMove
from poolsite.wire.hosts import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import QuerySet


@dataclass(frozen=True, slots=True)
class Removal:
    """What a host has yet to remove of a copy that was not finished."""

    host: str
    name: str
    """As the sector's files are named in every store."""
    store: str


def moves_of(store: Store) -> QuerySet[StoreMove]:
    """Return the moves out of a store and into it, the newest first."""
    rows = StoreMove.objects.filter(Q(from_store=store) | Q(to_store=store))
    return rows.select_related("sector__miner", "worker", "from_store", "to_store").order_by("-pk")


def moves_open(store: Store) -> int:
    """Count the moves out of a store and into it that have not ended."""
    return moves_of(store).filter(state__in=OPEN_MOVES).count()


def removals_awaited(moves: Iterable[StoreMove]) -> dict[int, Removal]:
    """Return by move what must be removed before its next step is ordered.

    Of all hosts: one that comes back later has the same store, and the live copy in it may be a new one.
    """
    waiting = [move for move in moves if move.state in (MoveState.QUEUED, MoveState.COPIED)]
    if not waiting:
        return {}
    drops = WorkerCommand.objects.filter(op=Operation.DROP_COPY, done_at=None, worker__retired_at=None)
    drops = drops.filter(worker__tenant_id__in={move.from_store.tenant_id for move in waiting})
    drops = drops.filter(args__sector__in=[str(move.sector.uuid) for move in waiting])
    known = {
        (drop.worker.tenant_id, drop.args["sector"]): drop
        for drop in drops.select_related("worker").order_by("-pk")
    }
    stores = Store.objects.filter(uid__in={drop.args["to"] for drop in known.values()}) if known else ()
    names = {(store.tenant_id, store.uid): store.name for store in stores}
    found = {}
    for move in waiting:
        tenant = move.from_store.tenant_id
        drop = known.get((tenant, str(move.sector.uuid)))
        if drop is not None:
            uid, name = drop.args["to"], f"s-t0{drop.args['miner_id']}-{drop.args['number']}"
            found[move.pk] = Removal(drop.worker.name, name, names.get((tenant, uid), uid))
    return found
