"""Reads of moves between stores: those of a store, and what one that has not begun waits for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from apps.core import clock
from apps.core.errors import BadValue
from apps.core.filters import Choices, ListFilters, Words
from apps.miners.selectors.miners import miner_get
from apps.sectors.errors.stores import StoreAmbiguous, StoreUnknown
from apps.sectors.models import Sector, Store, StoreMove, WorkerCommand
from apps.sectors.selectors.leftovers import removals_open
from apps.sectors.selectors.stores import store_get
from apps.sectors.states import OPEN_MOVES, MoveState
from apps.users.rules.principals import Principal
from poolsite.wire.commands import Operation

STARTED: Final = (MoveState.COPYING, MoveState.COPIED, MoveState.CLEARING)
OVER: Final = (MoveState.MOVED, MoveState.FAILED)
SWITCHED: Final = (MoveState.COPIED, MoveState.CLEARING, MoveState.MOVED)
"""The sector's row names the new store."""


@dataclass(frozen=True, slots=True)
class Removal:
    """What a host has yet to remove: of a copy that was not finished, or a leftover."""

    host: str
    name: str
    """As the sector's files are named in every store."""
    store: str


class MoveFilters(ListFilters):
    """Filters of moves between stores."""

    state = Choices(MoveState.values, lookup_expr="in", refusal=_("there is no such state"))
    store = Words(
        label=_("Store"), method="of_store", about="name or uuid of the store that sectors leave or reach"
    )
    miner = Words(label=_("Miner"), method="of_miner", about="address of the miner whose sectors these are")
    tenant = Words(field_name="worker__tenant__name", about="name of the tenant whose host copies")

    def of_store(self, rows: QuerySet[StoreMove], _name: str, value: str) -> QuerySet[StoreMove]:
        """Narrow to moves out of a store and into it.  Raises BadValue."""
        try:
            return rows.filter(_touches(store_get(self.viewer, value, now=clock.now())))
        except (StoreUnknown, StoreAmbiguous) as unknown:
            raise BadValue(unknown.reason, field="store") from None

    def of_miner(self, rows: QuerySet[StoreMove], _name: str, value: str) -> QuerySet[StoreMove]:
        """Narrow to a miner's sectors.  Raises MinerUnknown."""
        return rows.filter(sector__miner=miner_get(self.viewer, value))


def _touches(store: Store) -> Q:
    return Q(from_store=store) | Q(to_store=store)


def moves_visible(viewer: Principal) -> QuerySet[StoreMove]:
    """Return the moves that this caller may know of, the newest first."""
    rows = StoreMove.objects.select_related("sector__miner", "worker", "from_store", "to_store")
    if viewer.miners:
        rows = rows.filter(sector__miner__actor_id__in=viewer.miners)
    rows = rows if viewer.sees_pool else rows.filter(worker__tenant_id=viewer.own_id)
    return rows.order_by("-pk")


def moves_of(viewer: Principal, store: Store) -> QuerySet[StoreMove]:
    """Return those out of a store and into it."""
    return moves_visible(viewer).filter(_touches(store))


def moves_open(store: Store) -> int:
    """Count the moves out of a store and into it that have not ended."""
    return StoreMove.objects.filter(_touches(store), state__in=OPEN_MOVES).count()


def moved_meanwhile(sector: Sector, store: Store, order: WorkerCommand) -> bool:
    """Return whether a move wrote or removed a sector's files in a store since a host was told to read them.

    Of the store that the sector's row names only what came there counts: a move away from it removes nothing
    before the row has changed.
    """
    since = Q(updated_at__gte=order.created_at)
    if sector.store == store.name:
        return sector.moves.filter(since, to_store=store, state__in=SWITCHED).exists()
    started = Q(state__in=STARTED) | since & Q(state__in=OVER)
    return sector.moves.filter(started, Q(from_store=store) | Q(to_store=store)).exists()


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
    leftovers = removals_open({move.sector for move in waiting})
    uids = {_uid_of(drop) for drop in (*known.values(), *leftovers.values())}
    stores = Store.objects.filter(uid__in=uids) if uids else ()
    names = {(store.tenant_id, store.uid): store.name for store in stores}
    found = {}
    for move in waiting:
        tenant = move.from_store.tenant_id
        drop = known.get((tenant, str(move.sector.uuid))) or leftovers.get(move.sector_id)
        if drop is not None:
            uid, name = _uid_of(drop), f"s-t0{drop.args['miner_id']}-{drop.args['number']}"
            found[move.pk] = Removal(drop.worker.name, name, names.get((tenant, uid), uid))
    return found


def _uid_of(order: WorkerCommand) -> str:
    """Return the store in which a removal removes."""
    uid: str = order.args.get("to") or order.args["uid"]
    return uid
