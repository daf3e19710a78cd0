"""Steps of a sector's move: its host copies and verifies, the row follows, then the old copy goes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q

from apps.core.live import Change, publish
from apps.core.reasons import code_of
from apps.core.transitions import advance
from apps.core.uuids import is_uuid
from apps.sectors.models import RUNS_OVER, Job, Sector, Store, StoreMove, Worker, WorkerCommand
from apps.sectors.reasons import (
    BEING_CHANGED,
    COPY_REMOVED,
    MOVE_LOST,
    MOVED_TO,
    NO_ROOM,
    NOT_MOVED_TO,
    ROOM_PROMISED,
    SECTOR_OF,
)
from apps.sectors.selectors.moves import removals_awaited
from apps.sectors.selectors.stores import provers_of_store
from apps.sectors.services.files.copies import copies_forget
from apps.sectors.services.stores.events import CHANGED, FAILED, event_write
from apps.sectors.states import OPEN_MOVES, JobState, MoveState
from poolsite.wire.commands import Operation
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SectorState

AT_ONCE: Final = 2
"""Moves that a host has been told of: it copies one while the next waits."""
CONSIDERED_MAX: Final = 50
AGAIN_AFTER: Final = timedelta(minutes=10)
"""Pause before an old copy that could not be removed is tried again."""
ROOM_AGAIN: Final = timedelta(minutes=1)
"""Pause before a copy that met room which others were promised is tried again."""
ROOM_WAIT: Final = timedelta(hours=24)
"""How long it waits for that room, from its first try, before the move fails."""
PROOFS: Final = (JobKind.WINDOW_POST, JobKind.SECTOR_CHECK)
ORDERED: Final = (MoveState.COPYING, MoveState.CLEARING)


def moves_continue(worker: Worker, *, now: datetime) -> None:
    """Order the next step of a host's moves; called with each heartbeat, in its transaction.

    What waits while a store is away, for room that others were promised, while no prover reads the new one,
    while some host has yet to remove what it had copied of the sector or a leftover of it, or after a removal
    that failed, keeps no other move from going on.
    """
    own = StoreMove.objects.filter(worker=worker, state__in=OPEN_MOVES)
    rows = own.exclude(state__in=ORDERED).exclude(error__gt="", updated_at__gt=now - ROOM_AGAIN)
    rows = rows.exclude(state=MoveState.COPIED, error__gt="", updated_at__gt=now - AGAIN_AFTER)
    rows = rows.filter(from_store__name__in=worker.stores, to_store__name__in=worker.stores)
    targets = Store.objects.filter(pk__in=rows.order_by().values("to_store"))
    rows = rows.filter(to_store__in=[one.pk for one in targets if provers_of_store(one, now=now)])
    rows = rows.select_related("sector__miner", "from_store", "to_store").order_by("error", "pk")
    known = list(rows[:CONSIDERED_MAX])
    if not known:
        return
    ordered = own.filter(state__in=ORDERED).count()
    awaited = removals_awaited(known)
    for row in known:
        if ordered >= AT_ONCE:
            return
        if row.state == MoveState.QUEUED and row.sector.runs.exclude(state__in=RUNS_OVER).exists():
            advance(row, "CANCEL", error=BEING_CHANGED(), updated_at=now)
        elif row.pk in awaited:
            continue  # a new copy would be removed with what an earlier move left
        elif _is_begun(row, now=now):
            ordered += 1


def _is_begun(row: StoreMove, *, now: datetime) -> bool:
    """Order the next step of a move if it may come now; return whether it was ordered."""
    if row.state == MoveState.QUEUED:
        advance(row, "START", error="", updated_at=now)
        move_order(row, op=Operation.COPY_SECTOR)
    elif _is_read(row):
        return False
    else:
        advance(row, "CLEAR", updated_at=now)
        move_order(row, op=Operation.REMOVE_COPY)
    return True


def _is_read(move: StoreMove) -> bool:
    """Return whether a proof or unsealing from before the sector's row changed may read the old copy."""
    readers = Q(kind__in=PROOFS) | Q(kind=JobKind.UNSEAL, inputs__sector=str(move.sector.uuid))
    jobs = Job.objects.filter(readers, miner=move.sector.miner_id, state=JobState.LEASED)
    return jobs.filter(created_at__lt=move.updated_at).exists()


def move_order(move: StoreMove, *, op: Operation) -> None:
    """Order a move's host to copy or to remove."""
    sector = move.sector
    args = {
        "move": str(move.uuid),
        "sector": str(sector.uuid),
        "miner_id": str(sector.miner.actor_id),
        "number": str(sector.number),
        "seal_proof": str(sector.seal_proof),
        "comm_r": bytes(sector.comm_r or b"").hex(),
        "from": move.from_store.uid,
        "to": move.to_store.uid,
    }
    WorkerCommand.objects.create(worker=move.worker, op=op, args=args, actor=move.actor)


def moves_of_orders_lock(commands: Sequence[WorkerCommand]) -> None:
    """Lock the moves that a host tells of, before their sectors."""
    uuids = [uuid for one in commands if is_uuid(uuid := str(one.args.get("move", "")))]
    if uuids:
        list(StoreMove.objects.select_for_update(of=("self",)).filter(uuid__in=uuids).order_by("pk"))


def move_note(command: WorkerCommand, *, error: str, now: datetime) -> None:
    """Follow what a host says of a copy, or of the removal of the old one."""
    uuid = str(command.args.get("move", ""))
    rows = StoreMove.objects.select_for_update(of=("self",)).select_related(
        "from_store", "to_store", "sector"
    )
    move = rows.filter(uuid=uuid, worker=command.worker_id).first() if is_uuid(uuid) else None
    if move is None:
        return
    if command.op == Operation.DROP_COPY:
        note = SECTOR_OF(number=move.sector.number, error=error or COPY_REMOVED())
        event = FAILED if error else CHANGED
        event_write(move.to_store, event=event, actor=command.worker.name, note=note, now=now)
        return
    if command.op == Operation.REMOVE_COPY and move.state == MoveState.CLEARING:
        advance(move, "FAIL" if error else "END", error=error, updated_at=now)
        if not error:
            copies_forget(move.sector_id, store_name=move.from_store.name)
    elif command.op == Operation.COPY_SECTOR and move.state == MoveState.COPYING:
        error = error or _switch(move)
        until = _room_until(move, now=now) if code_of(error) == ROOM_PROMISED else now
        if until > now:
            error = NO_ROOM(until=f"{until:%Y-%m-%d %H:%M}", error=error)
            advance(move, "WAIT", error=error, updated_at=now)
            return
        advance(move, "FAIL" if error else "COPY", error=error, updated_at=now)
    if move.state in (MoveState.MOVED, MoveState.FAILED):
        number, name = move.sector.number, move.to_store.name
        note = (
            NOT_MOVED_TO(number=number, store=name, error=error)
            if error
            else MOVED_TO(number=number, store=name)
        )
        event_write(move.from_store, event=move.state, actor=command.worker.name, note=note, now=now)


def _room_until(move: StoreMove, *, now: datetime) -> datetime:
    """Return until when a move waits for room: so long from its first try."""
    tries = WorkerCommand.objects.filter(worker=move.worker_id, op=Operation.COPY_SECTOR)
    tries = tries.filter(args__move=str(move.uuid), done_at__isnull=False)
    return (tries.order_by("pk").values_list("done_at", flat=True).first() or now) + ROOM_WAIT


def _switch(move: StoreMove) -> str:
    """Record the new store in the sector's row; return why not, or an empty text."""
    same = Sector.objects.filter(pk=move.sector_id, store=move.from_store.name, state=SectorState.PROVING)
    same = same.filter(tenant_id=move.from_store.tenant_id)
    if not same.update(store=move.to_store.name):
        return MOVE_LOST()
    # What is known of files there is of another copy, or of an earlier one.
    copies_forget(move.sector_id, store_name=move.to_store.name)
    publish(Change("sector", str(move.sector.uuid), move.sector.tenant_id))
    return ""
