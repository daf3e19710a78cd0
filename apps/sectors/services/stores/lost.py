"""Forgetting a store that is lost: what lay in it is named first, then its sectors are marked.

They keep its uid, by which they are found again should a host read it after all.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction
from django.db.models import Count, Sum

from apps.core.errors import BadValue
from apps.core.formatting import plural_kept
from apps.core.live import Change, publish
from apps.core.local_time import clock_text, minute_text
from apps.core.marked_texts import gettext
from apps.core.reasons import coded, counted
from apps.sectors.errors.stores import StoreRefused
from apps.sectors.models import Sector, Store, Worker, WorkerCommand
from apps.sectors.reasons import FOUND_IN, READ_AGAIN, STORE_LOST
from apps.sectors.selectors.ended_sectors import sectors_lying_in
from apps.sectors.selectors.hosts import worker_is_away
from apps.sectors.services.audit import store_audit
from apps.sectors.services.stores.events import CHANGED, event_write
from apps.sectors.services.stores.moves import lost_moves_end, moves_lock
from apps.sectors.states import ENDED_SECTORS
from apps.users.rules.principals import Principal
from poolsite.wire.commands import Operation
from poolsite.wire.pipeline import SECTOR_STATES, SectorState
from poolsite.wire.stores import READABLE

NAMED_MAX: Final = 200
"""Sectors of a lost store that are named; the sums are of all."""
LOST_AFTER: Final = timedelta(hours=6)
"""Nobody has read a lost store for so long: a reboot, or a line that is cut, is over by then."""
MOUNTED_WITHIN: Final = timedelta(minutes=10)
"""A host has its disks so long after its worker began."""
FILES_LOST: Final = "FILES_LOST"
"""Event in the timeline of each of its sectors that are proving."""
STORE_FORGOTTEN: Final = "STORE_FORGOTTEN"
"""The same before that: its sealing folder still has the files, and finalizing stores them anew."""
FILES_FOUND: Final = "FILES_FOUND"
"""The same when a host reads the store again."""
UNDER_WAY: Final = sorted(one for one in SECTOR_STATES if one not in (*ENDED_SECTORS, SectorState.PROVING))
MARK: Final = """
INSERT INTO sectors_jobevent
    (job_id, event, from_state, to_state, stage, at, actor, note, note_coded, is_error, digest)
SELECT id, %s, '', '', '', %s, %s, %s, %s::jsonb, false, '' FROM sectors_job WHERE sector_id = ANY(%s)
"""


@dataclass(frozen=True, slots=True)
class LostStore:
    """What is lost with a store."""

    refusal: str
    """Why it cannot be forgotten; empty: it can."""
    proving: int
    under_way: int
    size: int
    """Raw bytes of the proving ones."""
    pledge: int
    """attoFIL that is locked for them."""
    named: tuple[Sector, ...]
    """The first of them, proving ones first."""
    is_more: bool = False
    """Whether more lie there than were counted."""

    @property
    def sectors(self) -> int:
        """Return how many lie there: the proving ones will be without files."""
        return self.proving + self.under_way


def lost_store(store: Store, *, now: datetime, most: int | None = None) -> LostStore:
    """Return what lies in a store by the rows, and whether it can be forgotten.

    With `most` no more than so many sectors are counted, which `is_more` then says: for a page.
    """
    rows = sectors_lying_in(store)
    proving, others = rows.filter(state=SectorState.PROVING), rows.filter(state__in=UNDER_WAY)
    if most is None:
        sums = proving.order_by().aggregate(
            count=Count("pk"), size=Sum("sector_size"), pledge=Sum("initial_pledge")
        )
        named = [*proving.select_related("miner").order_by("pk")[:NAMED_MAX]]
        named += others.select_related("miner").order_by("pk")[: NAMED_MAX - len(named)]
        count, size, pledge, in_progress = sums["count"], sums["size"], sums["pledge"], others.count()
    else:  # as they lie in the index: an order would read them all
        some = list(proving.select_related("miner").order_by()[: most + 1])
        rest = list(others.select_related("miner").order_by()[: most + 1])
        named = [*sorted(some, key=lambda one: one.pk), *sorted(rest, key=lambda one: one.pk)][:NAMED_MAX]
        count, in_progress = len(some), len(rest)
        size, pledge = sum(one.sector_size for one in some), sum(int(one.initial_pledge) for one in some)
    return LostStore(
        refusal=_refusal(store, now=now),
        proving=count,
        under_way=in_progress,
        size=int(size or 0),
        pledge=int(pledge or 0),
        named=tuple(named),
        is_more=most is not None and max(count, in_progress) > most,
    )


def _refusal(store: Store, *, now: datetime) -> str:
    """Return why a store is not lost; empty if no host has read it for long."""
    read_at = store.told_at or store.created_at
    readable = store.attachments.filter(condition__in=READABLE, worker__retired_at=None)
    for row in readable.select_related("worker"):
        if not worker_is_away(row.worker, now=now):
            return gettext("{host} can read it: move its sectors or detach it instead").format(
                host=row.worker.name
            )
        read_at = max(read_at, row.worker.seen_at)
    if now < read_at + LOST_AFTER:
        return gettext(
            "a host read it at {time}, so it may come back: it cannot be forgotten before {until}"
        ).format(time=clock_text(read_at), until=minute_text(read_at + LOST_AFTER))
    return ""


@transaction.atomic
def store_forget(store: Store, *, confirm: str, now: datetime, by: Principal) -> LostStore:
    """Remove a store's row for good and mark its sectors; the store's name must be typed.

    Its open moves end.  Raises BadValue for another name, StoreRefused while a host reads it or has lately.
    """
    locked = Store.objects.select_for_update(no_key=True).get(pk=store.pk)
    moves = moves_lock(store)
    if confirm.strip() != locked.name:
        raise BadValue(gettext("type {store} to confirm").format(store=locked.name), field="confirm")
    lost = lost_store(locked, now=now)
    if lost.refusal:
        raise StoreRefused(lost.refusal)
    if moves:
        lost_moves_end(moves, lost=locked, now=now)
        lost = lost_store(locked, now=now)
    lying = sectors_lying_in(locked).select_for_update().order_by("pk")
    rows = dict(lying.values_list("pk", "state"))
    proving = [pk for pk, state in rows.items() if state == SectorState.PROVING]
    note = STORE_LOST(store=locked.name)
    _timelines_write(proving, FILES_LOST, note=note, actor=by.actor, now=now)
    _timelines_write([*rows.keys() - proving], STORE_FORGOTTEN, note=note, actor=by.actor, now=now)
    Sector.objects.filter(tenant_id=locked.tenant_id, store=locked.name).update(store="", lost_uid=locked.uid)
    Sector.objects.filter(pk__in=proving).update(files_lost_at=now)
    Sector.objects.filter(pk__in=list(rows)).update(updated_at=now)
    facts = {
        "uid": locked.uid,
        "proving": plural_kept(lost.proving, "sector"),
        "under_way": plural_kept(lost.under_way, "sector"),
        "size": gettext("{size} bytes").format(size=lost.size),
        "moves": plural_kept(len(moves), "move"),
    }
    name, uuid, tenant_id = locked.name, str(locked.uuid), locked.tenant_id
    locked.delete()
    store_audit(by, action="store.forget", target=name, before=facts)
    publish(Change("store", uuid, tenant_id))
    for sector in lost.named:
        publish(Change("sector", str(sector.uuid), tenant_id))
    return lost


def is_forgotten(tenant_id: int, *, uid: str) -> bool:
    """Return whether sectors lay in a store of this uid that was forgotten and not read since."""
    return bool(uid) and Sector.objects.filter(tenant_id=tenant_id, lost_uid=uid).exists()


def forgotten_detach(worker: Worker, *, uid: str, now: datetime) -> None:
    """Order a host to detach a store that was forgotten and that it cannot read: else it waits for it.

    As long as a store is away a host removes and finalizes nothing that may lie in it.  A host that has
    just begun may mount its disks yet.
    """
    if now < worker.registered_at + MOUNTED_WITHIN:
        return
    if not worker.commands.filter(op=Operation.DETACH, args__uid=uid, done_at=None).exists():
        WorkerCommand.objects.create(worker=worker, op=Operation.DETACH, args={"uid": uid}, actor="console")


def files_find(store: Store, *, actor: str, now: datetime) -> None:
    """Link the sectors that lay in a store before it was forgotten.

    Those that were made again elsewhere meanwhile stay where they are.
    """
    assert connection.in_atomic_block, "sectors, their timelines and the store change together"
    if not store.uid:
        return
    lost = Sector.objects.filter(tenant_id=store.tenant_id, lost_uid=store.uid)
    rows = lost.filter(store="").select_for_update().order_by("pk")
    known = list(rows.values_list("pk", "uuid", "state"))
    lost.exclude(store="").update(lost_uid="")
    if not known:
        return
    live = [pk for pk, _, state in known if state not in ENDED_SECTORS]
    _timelines_write(live, FILES_FOUND, note=FOUND_IN(store=store.name), actor=actor, now=now)
    Sector.objects.filter(pk__in=[pk for pk, _, _ in known]).update(
        store=store.name, files_lost_at=None, lost_uid="", updated_at=now
    )
    note = READ_AGAIN(sectors=counted(len(live), "sector"))
    event_write(store, event=CHANGED, actor=actor, note=note, now=now)
    for _, uuid, _ in known[:NAMED_MAX]:
        publish(Change("sector", str(uuid), store.tenant_id))


def _timelines_write(sectors: Collection[int], event: str, *, note: str, actor: str, now: datetime) -> None:
    """Write an event for each of many sectors in one statement."""
    if not sectors:
        return
    with connection.cursor() as cursor:
        cursor.execute(MARK, [event, now, actor, note, json.dumps(coded(note)), list(sectors)])
