"""Sectors are read back from the journals of the hosts."""

from __future__ import annotations

from apps.sectors.models import HostInventory, Sector, Store
from apps.sectors.services.readback.imports import ORDER, FoundSector, host_sector_read, row_create, row_move
from apps.sectors.services.readback.miner_import import MinerImport
from apps.sectors.services.sealing.placements import waiting_pieces_place
from poolsite.filecoin.bitfield import BitField, bitfield_from_json, bitfield_of, bitfield_union
from poolsite.wire.codec import document_decode
from poolsite.wire.hosts import SectorOnHost, StoredNumbers
from poolsite.wire.pipeline import SectorState
from poolsite.wire.stores import READABLE


def inventories_read(job: MinerImport) -> BitField:
    """Collect what the tenant's hosts have reported of this miner; returns all numbers that they have."""
    reported = HostInventory.objects.filter(
        worker__tenant_id=job.miner.tenant_id, told_at__gte=job.restored_at
    )
    known = Store.objects.filter(tenant_id=job.miner.tenant_id).exclude(uid="")
    by_uid = dict(known.values_list("uid", "name"))
    for inventory in reported.select_related("worker").order_by("told_at"):
        for item in inventory.sectors:
            on_host = document_decode(SectorOnHost, item)
            found = host_sector_read(inventory.worker, reported=on_host)
            if found is not None and on_host.inputs.miner_id == job.miner.actor_id:
                other = job.found.get(on_host.inputs.number)
                if other is None or ORDER[other.state] < ORDER[found.state]:
                    job.found[on_host.inputs.number] = found
        readable = inventory.worker.attachments.filter(condition__in=READABLE, since__lte=inventory.told_at)
        job.read_stores.update(readable.values_list("store__name", flat=True))
        unseen = set(inventory.worker.attachments.values_list("store__name", flat=True))
        for item in inventory.stored:
            stored = document_decode(StoredNumbers, item)
            if stored.miner_id == job.miner.actor_id:
                name = by_uid.get(stored.uid, "")
                if not name:
                    job.has_uids = False
                    name = stored.store or next(iter(inventory.worker.stores), "")
                    if name not in unseen:
                        job.unclear.add(name)
                unseen.discard(name)
                numbers = bitfield_from_json(list(stored.runs))
                job.stored[name] = job.stored.get(name, BitField()) | numbers
    return bitfield_union([bitfield_of(job.found), *job.stored.values()])


def hosts_import(job: MinerImport) -> None:
    """Write what the hosts' journals have and the rows lack."""
    rows, all_numbers, now = job.rows(), job.numbers(), job.work.now
    for number, found in job.found.items():
        if found.columns.get("store") == "":
            found.columns["store"] = job.store_of(number)
        row = rows.get(number)
        if row is not None:
            job.count += _host_import(row, found, job)
        elif number not in all_numbers:
            row_create(job.miner, number=number, state=found.state, now=now, found=found, **found.columns)
            job.count += 1
        waiting_pieces_place(job.miner, number=number, column=found.columns["pieces"], now=now)


def _host_import(row: Sector, found: FoundSector, job: MinerImport) -> bool:
    """Move a row to where its host is with it; what was moved since the restore is not touched."""
    now = job.work.now
    is_bare = row.paused_at is not None and row.job.sticky_worker_id is None
    if is_bare and ORDER[row.state] > ORDER[SectorState.PERSISTED]:
        same = found.comm_r is not None and bytes(row.comm_r or b"") == found.comm_r
        return same and row_move(row, state=row.state, now=now, found=found)
    if row.stage_since > job.restored_at:
        return False
    is_other = None not in (row.ticket, found.columns["ticket"])
    is_other = is_other and bytes(row.ticket or b"") != found.columns["ticket"]
    is_behind = ORDER[row.state] < ORDER[found.state]
    is_unbound = row.job.sticky_worker_id is None and row.state == found.state
    if is_other or is_behind or is_unbound:
        return row_move(row, state=found.state, now=now, found=found)
    return False
