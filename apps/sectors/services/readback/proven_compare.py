"""Proven sectors' rows as the chain has them now: compared after a restore, and once in a proving period."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import QuerySet

from apps.core.live import Change, publish
from apps.miners.models import Miner
from apps.miners.onchain.partition_facts import live_field
from apps.sectors.models import Sector, Store
from apps.sectors.onchain.sectors import OnSector, sectors_proven_read
from apps.sectors.reasons import DATA_UNKNOWN, FILES_ELSEWHERE
from apps.sectors.selectors.moves import SWITCHED
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.files.copies import copies_forget
from apps.sectors.services.readback.imports import NOTE, row_move
from apps.sectors.services.runs.steps import run_lock, run_pause
from apps.sectors.services.sealing.placements import placements_compare
from apps.sectors.services.sealing.steps import job_lock
from apps.sectors.services.stores.reported import mark_name_encode
from apps.sectors.services.timeline import job_event_write
from poolsite.filecoin.bitfield import BitField, bitfield_of, portions
from poolsite.filecoin.cids import cid_parse, cid_to_commr
from poolsite.wire.pipeline import RUN_FINAL, UNSENT, SectorState
from poolsite.wire.pipeline.changes import OPEN_CHANGES

READ_MAX: Final = 500
"""Proven sectors of one question to the node."""
REPLICA_FACTS: Final = ("comm_r", "comm_d", "pieces", "key_comm_r")
"""Columns that an update changes."""


def proven_compare(
    miner: Miner,
    *,
    live: BitField,
    work: SealingContext,
    rows: QuerySet[Sector] | None = None,
    note: str = NOTE,
    waits_final: bool = False,
) -> int:
    """Update rows of proven sectors, or all of a miner, from the chain; return how many changed.

    `waits_final`: an end or an update counts only where the chain had it a finality ago, as nothing undoes
    what it does to the row.  Raises NodeRefused, NodeUnavailable.
    """
    if rows is None:
        rows = Sector.objects.filter(miner=miner, state__in=[SectorState.COMMIT_LANDED, SectorState.PROVING])
    known = bitfield_of(rows.values_list("number", flat=True).iterator())
    count = 0
    for numbers in portions(known & live, READ_MAX):
        # Before the chain: what changes a row meanwhile is newer than what is read.
        before = list(rows.filter(number__in=numbers).order_by("pk"))
        found = sectors_proven_read(work.client, miner.address, numbers, work.head.key)
        changed = {row: _changed_facts(row, found[row.number]) for row in before if row.number in found}
        if waits_final:
            _young_updates_drop(miner, changed, found=found, work=work)
        for row, facts in changed.items():
            if facts:
                count += _row_change(row, facts, rows=rows, note=note, work=work)
    for numbers in portions(_ended(miner, rows, known - live, waits_final=waits_final, work=work), READ_MAX):
        ended = rows.filter(number__in=numbers).order_by("pk")
        count += sum(_terminate(row, note=note, work=work) for row in ended)
    return count


def _young_updates_drop(
    miner: Miner,
    changed: Mapping[Sector, dict[str, Any]],
    *,
    found: Mapping[int, OnSector],
    work: SealingContext,
) -> None:
    """Drop the updates that the chain did not have a finality ago."""
    updated = [row for row, facts in changed.items() if "comm_r" in facts]
    since = work.head.height - work.network.chain_finality
    old = [row.number for row in updated if found[row.number].activation <= since]
    then = sectors_proven_read(work.client, miner.address, old, _final_key(work)) if old else {}
    for row in updated:
        if row.number not in then or then[row.number].sealed_cid != found[row.number].sealed_cid:
            for name in REPLICA_FACTS:
                del changed[row][name]


def _ended(
    miner: Miner, rows: QuerySet[Sector], missing: BitField, *, waits_final: bool, work: SealingContext
) -> BitField:
    """Return the sectors that the chain has ended before their time, of those that are not live.

    One whose activation is not final may be gone by a reorganisation alone.
    """
    if not missing:
        return missing
    height = work.head.height
    due = rows.filter(expiration__gt=height, activation__lte=height - work.network.chain_finality)
    ended = missing & bitfield_of(due.values_list("number", flat=True).iterator())
    if waits_final and ended:
        ended -= live_field(work.client, miner.address, work.network.proving.deadlines, _final_key(work))
    return ended


def _final_key(work: SealingContext) -> str:
    """Return the key of the tipset a finality before the head: no reorganisation takes that back."""
    height = max(work.head.height - work.network.chain_finality, 0)
    return work.client.chain_get_tipset_by_height(height, work.head.key).key


def places_compare(
    miner: Miner,
    *,
    stored: Mapping[str, BitField],
    read_stores: Collection[str],
    since: datetime,
    work: SealingContext,
    has_uids: bool = False,
) -> int:
    """Update in which stores proven sectors lie that were moved after the backup; return how many changed.

    `stored` has by store the numbers that hosts found, `read_stores` the stores that they looked into: what
    is not found in one of those has left it.  Sectors moved since the restore are newer than both.  Unless
    hosts tell identities, they tell the names of marks: a shared one says nothing of where files lie.
    """
    shared = set() if has_uids else _shared_names(miner.tenant_id)
    stored = {name: numbers for name, numbers in stored.items() if name not in shared}
    read_stores = set(read_stores) - shared
    rows = Sector.objects.filter(miner=miner, state=SectorState.PROVING).exclude(store="")
    rows = rows.exclude(moves__updated_at__gte=since, moves__state__in=SWITCHED)
    count = 0
    for name in rows.order_by("store").values_list("store", flat=True).distinct():
        if name not in read_stores:
            continue
        recorded = bitfield_of(rows.filter(store=name).values_list("number", flat=True).iterator())
        missing = recorded - stored.get(name, BitField())
        for other, numbers in sorted(stored.items()):
            for part in portions(missing & numbers, READ_MAX):
                found = rows.filter(store=name, number__in=part).order_by("pk")
                count += sum(_place_change(row, other, work) for row in found)
            missing -= numbers
    return count


def _shared_names(tenant_id: int) -> set[str]:
    """Return the names, of marks and of rows, of a tenant's stores whose marks carry the same name."""
    by_mark: dict[str, list[str]] = defaultdict(list)
    for name, uid in Store.objects.filter(tenant_id=tenant_id).values_list("name", "uid"):
        by_mark[mark_name_encode(name, uid=uid)].append(name)
    return {name for mark, names in by_mark.items() if len(names) > 1 for name in (mark, *names)}


def _place_change(row: Sector, store: str, work: SealingContext) -> bool:
    with transaction.atomic():
        job, current = job_lock(row.pk)
        if (current.state, current.store) != (row.state, row.store):
            return False
        Sector.objects.filter(pk=row.pk).update(store=store, updated_at=work.now)
        job_event_write(
            job,
            event="IMPORT",
            now=work.now,
            after=row.state,
            note=FILES_ELSEWHERE(note=NOTE, store=store, before=row.store),
        )
        publish(Change("sector", str(row.uuid), row.tenant_id))
    return True


def _changed_facts(row: Sector, onchain: OnSector) -> dict[str, Any]:
    """Return the columns in which a row differs from the chain."""
    facts: dict[str, Any] = {"expiration": onchain.expiration, "initial_pledge": onchain.initial_pledge}
    facts = {name: value for name, value in facts.items() if getattr(row, name) != value}
    sealed = cid_to_commr(cid_parse(onchain.sealed_cid))
    if bytes(row.comm_r or b"") != sealed and not _is_followed(row, sealed):
        facts |= {"comm_r": sealed, "comm_d": None, "pieces": []}
        facts["key_comm_r"] = cid_to_commr(cid_parse(onchain.key_cid)) if onchain.key_cid else None
    return facts


@transaction.atomic
def _row_change(
    row: Sector, facts: dict[str, Any], *, rows: QuerySet[Sector], note: str, work: SealingContext
) -> bool:
    """Write what the chain has, unless something else has changed the row since it was read."""
    job, _ = job_lock(row.pk)
    if not rows.filter(pk=row.pk, updated_at=row.updated_at).exists():
        return False
    Sector.objects.filter(pk=row.pk).update(**facts, updated_at=work.now)
    if "comm_r" in facts:
        copies_forget(row.pk)
        _run_stop(row, work)
    if facts.keys() != {"initial_pledge"}:  # it follows an extension of the pool's own, too
        job_event_write(
            job,
            event="IMPORT",
            now=work.now,
            after=row.state,
            note=DATA_UNKNOWN() if "comm_r" in facts else note,
        )
    publish(Change("sector", str(row.uuid), row.tenant_id))
    return True


def _is_followed(row: Sector, sealed: bytes) -> bool:
    """Return whether a run leads to what the chain has: its next step lands it."""
    return any(bytes(run.comm_r or b"") == sealed for run in row.runs.exclude(state__in=RUN_FINAL))


def _run_stop(row: Sector, work: SealingContext) -> None:
    """Pause what was begun for a sector that was updated by something else."""
    for run in row.runs.filter(state__in=UNSENT, paused_at=None):
        job, current = run_lock(run.pk)
        run_pause(current, job=job, error=DATA_UNKNOWN(), now=work.now)


def _terminate(row: Sector, *, note: str, work: SealingContext) -> bool:
    """End a sector that the chain has ended; one with a change under way ends by that."""
    if row.changes.filter(state__in=OPEN_CHANGES).exists():
        return False
    is_moved = row_move(row, state=SectorState.TERMINATED, now=work.now, note=note, active=False)
    if is_moved:
        placements_compare(row.miner, numbers=[row.number], now=work.now)
    return is_moved
