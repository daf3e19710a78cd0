"""Moves of sectors between stores: a host copies and verifies, the row follows, then the old copy goes.

Killed anywhere, the row names a store with a whole copy: it changes only after the host has verified the new
one, and the old one is removed only after that.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import Q

from apps.core.formatting import plural_kept
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.transitions import advance
from apps.core.uuids import is_uuid
from apps.sectors.errors.runs import RunUnderWay
from apps.sectors.errors.stores import StoreRefused
from apps.sectors.models import RUNS_OVER, PipelineRun, Sector, Store, StoreMove, Worker, WorkerCommand
from apps.sectors.reasons import (
    COPY_LEFT,
    COPY_LEFT_AWHILE,
    ITS_HOST_OFFLINE,
    ITS_HOST_RETIRED,
    NOT_MOVED_TO,
    OLD_COPY_LEFT,
    OTHER_STORE_LOST,
)
from apps.sectors.selectors.hosts import worker_is_away
from apps.sectors.selectors.leftovers import removals_open
from apps.sectors.selectors.stores import hosts_of_store, provers_of_store
from apps.sectors.services.audit import store_audit
from apps.sectors.services.stores.events import event_write
from apps.sectors.services.stores.move_steps import move_order
from apps.sectors.states import OPEN_MOVES, MoveState
from apps.users.rules.principals import Principal
from poolsite.wire.commands import Operation
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SectorState
from poolsite.wire.stores import READABLE, StoreCondition

MOVES_MAX: Final = 1_000
"""Sectors of one request."""


@transaction.atomic
def moves_begin(
    source: Store, *, target: Store, numbers: int | Collection[str], now: datetime, by: Principal
) -> list[StoreMove]:
    """Queue moves of proving sectors, so many or those of these uuids, by a host that has both stores.

    Raises StoreRefused.
    """
    # A detachment by the target's last prover waits for it, or is seen.
    both = Store.objects.filter(pk__in=[source.pk, target.pk]).order_by("uid")
    list(both.select_for_update(of=("self",), no_key=True))
    worker = mover_choose(source, target=target, now=now)
    rows = Sector.objects.select_for_update(of=("self",)).filter(
        tenant_id=source.tenant_id,
        store=source.name,
        state=SectorState.PROVING,
        removal_asked_at=None,
    )
    rows = rows.exclude(moves__state__in=OPEN_MOVES).exclude(
        pk__in=PipelineRun.objects.exclude(state__in=RUNS_OVER).values("sector_id")
    )
    if isinstance(numbers, int):
        count = numbers
    else:
        count, rows = len(numbers), rows.filter(uuid__in=[uuid for uuid in numbers if is_uuid(uuid)])
    if not 0 < count <= MOVES_MAX:
        raise StoreRefused(gettext("must be from 1 to {limit} sectors at a time").format(limit=MOVES_MAX))
    locked = list(rows.order_by("pk")[:count])
    changing = _changing(locked)  # what has begun while their locks were waited for, the statement missed
    made = StoreMove.objects.bulk_create(
        StoreMove(sector=sector, worker=worker, from_store=source, to_store=target, actor=by.actor)
        for sector in locked
        if sector.pk not in changing
    )
    if not made:
        raise StoreRefused(
            gettext("none of them is proving in {source} without another change in progress").format(
                source=source.name
            )
        )
    after = {"sectors": len(made), "to": target.name, "by_host": worker.name}
    store_audit(by, action="store.move", target=source.name, after=after)
    for store in (source, target):
        publish(Change("store", str(store.uuid), store.tenant_id))
    return made


def _changing(sectors: Collection[Sector]) -> set[int]:
    """Return which of these sectors move, or have a run open, by their keys."""
    pks = [one.pk for one in sectors]
    moving = StoreMove.objects.filter(sector__in=pks, state__in=OPEN_MOVES).values_list("sector", flat=True)
    runs = PipelineRun.objects.filter(sector__in=pks).exclude(state__in=RUNS_OVER)
    return {*moving, *runs.values_list("sector", flat=True)}


def unchanged_require(sector: Sector) -> None:
    """Refuse a sector over which a run is open, or that moves to another store, or of which a host has yet to
    remove leftovers.  Raises RunUnderWay.
    """
    if (reason := changes_open([sector]).get(sector.pk)) is not None:
        raise RunUnderWay(reason, field="sector")


def changes_open(sectors: Collection[Sector]) -> dict[int, str]:
    """Return by sector the change that keeps another from beginning, if there is one."""
    pks = [one.pk for one in sectors]
    found = {
        pk: gettext("{host} has yet to remove a leftover of it").format(host=order.worker.name)
        for pk, order in removals_open(sectors).items()
    }
    moving = StoreMove.objects.filter(sector__in=pks, state__in=OPEN_MOVES).values_list("sector", flat=True)
    found |= dict.fromkeys(moving, gettext("it is being moved to another store: try again once it is there"))
    runs = PipelineRun.objects.filter(sector__in=pks).exclude(state__in=RUNS_OVER)
    return found | dict.fromkeys(
        runs.values_list("sector", flat=True), "a snap-up or rebuild of it is already in progress"
    )


def unchanged_lock(sector: Sector) -> None:
    """Refuse as `unchanged_require` does, and keep moves from beginning until the transaction ends."""
    Sector.objects.select_for_update(of=("self",)).only("pk").get(pk=sector.pk)
    unchanged_require(sector)


def mover_choose(source: Store, *, target: Store, now: datetime) -> Worker:
    """Return the host that copies: it reads the one store and writes the other.  Raises StoreRefused.

    Refused, too, where no prover reads the new one: windows would be missed.
    """
    if source.tenant_id != target.tenant_id or source.pk == target.pk:
        raise StoreRefused(gettext("the target must be another store of the same tenant"))
    if not target.rules.get("can_store", True):
        raise StoreRefused(gettext("{target} does not accept finished sectors").format(target=target.name))
    readers = hosts_of_store(source, READABLE, now=now)
    writers = {worker.pk for worker in hosts_of_store(target, [StoreCondition.READY], now=now)}
    both = [worker for worker in readers if worker.pk in writers]
    if not both:
        raise StoreRefused(
            gettext("no online host can read {source} and write to {target}").format(
                source=source.name, target=target.name
            )
        )
    if not provers_of_store(target, now=now):
        raise StoreRefused(
            gettext("no online prover can read {target}: attach it to one first").format(target=target.name)
        )
    # On a prover, proofs come first.
    return min(both, key=lambda worker: str(JobKind.WINDOW_POST) in worker.kinds)


@transaction.atomic
def moves_cancel(source: Store, *, by: Principal, now: datetime) -> int:
    """Cancel the moves out of a store that have not begun, or whose host is away; returns how many."""
    Store.objects.select_for_update(no_key=True).get(pk=source.pk)
    rows = StoreMove.objects.select_for_update(of=("self",)).filter(from_store=source, state__in=OPEN_MOVES)
    known = list(rows.select_related("worker", "from_store", "to_store", "sector").order_by("pk"))
    ended = [row for row in known if row.state == MoveState.QUEUED or _is_orphan(row, now=now)]
    for row in ended:
        _end(row, why=ITS_HOST_OFFLINE(), now=now)
    if ended:
        store_audit(
            by,
            action="store.moves_cancel",
            target=source.name,
            before={"open": plural_kept(len(ended), "move")},
        )
        publish(Change("store", str(source.uuid), source.tenant_id))
    return len(ended)


def _is_orphan(move: StoreMove, *, now: datetime) -> bool:
    return move.worker.retired_at is not None or worker_is_away(move.worker, now=now)


@transaction.atomic
def moves_end(worker: Worker, *, now: datetime) -> None:
    """End all moves of a host that is retired."""
    rows = StoreMove.objects.select_for_update(of=("self",)).filter(worker=worker, state__in=OPEN_MOVES)
    for row in rows.select_related("worker", "from_store", "to_store", "sector").order_by("pk"):
        _end(row, why=ITS_HOST_RETIRED(), now=now, comes_back=False)


def moves_lock(store: Store) -> list[StoreMove]:
    """Lock the open moves out of a store and into it."""
    rows = StoreMove.objects.select_for_update(of=("self",)).filter(state__in=OPEN_MOVES)
    rows = rows.filter(Q(from_store=store) | Q(to_store=store)).order_by("pk")
    return list(rows.select_related("worker", "from_store", "to_store", "sector"))


def lost_moves_end(moves: Collection[StoreMove], *, lost: Store, now: datetime) -> None:
    """End moves of which one store is lost.

    A sector whose old copy nobody was told to remove has that again; a removal that failed left an error.
    """
    for row in moves:
        remaining = row.from_store if row.to_store_id == lost.pk else row.to_store
        if row.state == MoveState.COPIED and not row.error and remaining == row.from_store:
            here = Sector.objects.filter(pk=row.sector_id, tenant_id=lost.tenant_id, store=lost.name)
            here.update(store=remaining.name)
            publish(Change("sector", str(row.sector.uuid), row.sector.tenant_id))
        _end(
            row,
            why=OTHER_STORE_LOST(store=lost.name),
            now=now,
            noted_in=remaining,
        )
        publish(Change("store", str(remaining.uuid), remaining.tenant_id))


def _end(
    move: StoreMove, *, why: str, now: datetime, noted_in: Store | None = None, comes_back: bool = True
) -> None:
    """End a move without its host; what the host was told of it is withdrawn.

    Once it is back it removes what it had copied so far.
    """
    comes_back &= move.worker.retired_at is None
    if move.state == MoveState.QUEUED:
        advance(move, "CANCEL", updated_at=now)
        return
    if move.state == MoveState.COPYING:
        error = (COPY_LEFT_AWHILE if comes_back else COPY_LEFT)(why=why, store=move.to_store.name)
        advance(move, "FAIL", error=error, updated_at=now)
    else:
        error = OLD_COPY_LEFT(why=why, store=move.from_store.name)
        advance(move, "END", error=error, updated_at=now)
    orders = WorkerCommand.objects.filter(worker=move.worker_id, done_at=None, args__move=str(move.uuid))
    orders.update(done_at=now, error=error)
    if move.state == MoveState.FAILED and comes_back:
        move_order(move, op=Operation.DROP_COPY)
    note = NOT_MOVED_TO(number=move.sector.number, store=move.to_store.name, error=error)
    event_write(noted_in or move.from_store, event=move.state, actor=move.worker.name, note=note, now=now)
