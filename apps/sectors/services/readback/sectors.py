"""Reading sectors back after a restore: from the hosts' journals, from messages, and from the chain.

Nothing is done for a miner's sectors until this has run: a host would seal a sector anew over the files of
one that is proven, and a second pre-commit would be sent.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import structlog
from django.db.models import F

from apps.chain.isolation import for_each_isolated
from apps.core.live import publish
from apps.messages.models import Recovery, Sender
from apps.messages.selectors.recovery import recovery_hold_reason
from apps.messages.services.recovery.detect import RECOVERY_CHANGE, restore_check
from apps.miners.onchain import deposits_locked, live_field, numbers_allocated
from apps.miners.selectors import miners_active, sender_choose
from apps.sectors.models import ActiveSectors, Batch, HostInventory, Sector, SectorNumbers, Store
from apps.sectors.onchain import precommits_read, sectors_proven_read
from apps.sectors.selectors.restored import hosts_unreported, miners_unread
from apps.sectors.services.batches.context import COMMIT, PRE_COMMIT
from apps.sectors.services.numbers import numbers_first
from apps.sectors.services.readback.batches import batches_import, batches_settle
from apps.sectors.services.readback.changes import changes_import
from apps.sectors.services.readback.imports import (
    ORDER,
    FoundSector,
    found_on_host,
    proven_create,
    row_create,
    row_move,
    row_without_files,
)
from apps.sectors.services.readback.proven_compare import ASKED_MAX, places_compare, proven_compare
from apps.sectors.services.readback.updates import updates_import
from apps.sectors.services.sealing.placements import pieces_found
from poolsite.filecoin.bitfield import (
    BitField,
    bitfield_from_json,
    bitfield_of,
    bitfield_to_json,
    bitfield_union,
    portions,
)
from poolsite.filecoin.cids import cid_parse, cid_to_commr
from poolsite.wire.codec import document_decode
from poolsite.wire.hosts import SectorOnHost, StoredNumbers
from poolsite.wire.pipeline import FINAL_STATES, SectorState
from poolsite.wire.stores import READABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from apps.miners.models import Miner
    from apps.sectors.onchain import OnPreCommit
    from apps.sectors.services.batches.context import SealingContext

log = structlog.get_logger(__name__)

UNTOLD_MAX: Final = 1_000_000
"""Allocated numbers for which a pre-commit is looked for where the node tells no sum of the deposits."""


@dataclass(slots=True)
class MinerImport:
    """One miner's sectors while they are read back."""

    miner: Miner
    restored_at: datetime
    work: SealingContext
    found: dict[int, FoundSector] = field(default_factory=dict)
    """By number: the host that is furthest with it."""
    stored: dict[str, BitField] = field(default_factory=dict)
    """By store: the numbers whose files lie in it."""
    unclear: set[str] = field(default_factory=set)
    """Names that a host told though no store of its has them, or more than one: a mark that was renamed
    to a taken name."""
    read_stores: set[str] = field(default_factory=set)
    """Names of the stores that hosts had looked into when they told."""
    has_uids: bool = True
    """Whether hosts told all of it by the stores' identities, not by names that two may share."""
    live: BitField = field(default_factory=BitField)
    """Proven sectors that the chain has not ended."""
    count: int = 0
    """Rows that were written or moved."""

    def rows(self) -> dict[int, Sector]:
        """Return the sectors in progress, by number."""
        rows = Sector.objects.filter(miner=self.miner).exclude(state__in=FINAL_STATES)
        return {row.number: row for row in rows.select_related("miner", "job").order_by("pk")}

    def numbers(self, *states: str) -> BitField:
        """Return the numbers of all rows, or of those in these states."""
        rows = Sector.objects.filter(miner=self.miner)
        rows = rows.filter(state__in=states) if states else rows
        return bitfield_of(rows.values_list("number", flat=True).iterator())

    def store_of(self, number: int) -> str:
        """Return the store that has a sector's files; empty if no host has reported them."""
        return next((name for name, numbers in self.stored.items() if number in numbers), "")


def sectors_recover(work: SealingContext) -> None:
    """Read back the sectors of each miner that waits for it, and end it when every host has reported."""
    recovery = restore_check(now=work.now)
    if recovery.restored_at is None:
        return
    told = HostInventory.objects.filter(told_at__gte=recovery.restored_at)
    late = list(told.exclude(imported_at__gte=recovery.restored_at).select_related("worker"))
    unread = list(miners_unread(recovery))
    tenants = {one.worker.tenant_id for one in late}
    again = miners_active().filter(tenant__in=tenants).exclude(pk__in=[miner.pk for miner in unread])
    waits: set[int] = set()

    def one(miner: Miner) -> None:
        waits.add(miner.tenant_id)
        if _senders_wait(miner, recovery):
            return
        _miner_import(miner, recovery=recovery, work=work)
        waits.discard(miner.tenant_id)

    for tenant_miners in _by_tenant([*unread, *again]):
        for_each_isolated(tenant_miners, one, event="sectors_not_read_back")
    done = [inventory.pk for inventory in late if inventory.worker.tenant_id not in waits]
    HostInventory.objects.filter(pk__in=done).update(imported_at=work.now)
    if recovery.sectors_since is not None:
        _end_if_done(recovery)


def _by_tenant(miners: Iterable[Miner]) -> list[list[Miner]]:
    groups: dict[int, list[Miner]] = defaultdict(list)
    for miner in miners:
        groups[miner.tenant_id].append(miner)
    return list(groups.values())


def _end_if_done(recovery: Recovery) -> None:
    if miners_unread(recovery).exists() or hosts_unreported(recovery).exists():
        return
    if Recovery.objects.filter(pk=1, sectors_since=recovery.sectors_since).update(sectors_since=None):
        publish(RECOVERY_CHANGE)
        log.info("sector_recovery_ended")


def _senders_wait(miner: Miner, recovery: Recovery) -> bool:
    """Return whether messages of the miner's senders are still to be read back, or decided about."""
    if recovery.since is None:
        return False
    if recovery.read_height is None:  # senders that the backup lacks get their rows in the first pass
        return True
    sent = Batch.objects.filter(miner=miner).order_by().values_list("sender", flat=True).distinct()
    addresses = {*sent, *(sender_choose(miner, kind.use).address for kind in (PRE_COMMIT, COMMIT))}
    senders = Sender.objects.filter(address__in=addresses)
    return any(recovery_hold_reason(sender, recovery) for sender in senders)


def _miner_import(miner: Miner, *, recovery: Recovery, work: SealingContext) -> None:
    """Read one miner's sectors back.  Raises NodeRefused, NodeUnavailable."""
    if recovery.restored_at is None:
        return
    job = MinerImport(miner, recovery.restored_at, work)
    on_hosts = _inventories_read(job)
    _hosts_import(job)
    batches_import(job.miner, PRE_COMMIT, work=work)
    _chain_import(job)
    batches_import(job.miner, COMMIT, work=work)
    batches_settle(job.miner, work=work)
    changes_import(job.miner, work=work)
    updates_import(job.miner, work=work)
    if _is_first(job):
        job.count += proven_compare(job.miner, live=job.live, work=work)
    clear = {name: numbers for name, numbers in job.stored.items() if name not in job.unclear}
    job.count += places_compare(
        miner,
        clear,
        read_stores=job.read_stores - job.unclear,
        since=recovery.restored_at,
        work=work,
        has_uids=job.has_uids,
    )
    ActiveSectors.objects.filter(miner=miner).update(compared_height=None)
    row, _ = SectorNumbers.objects.get_or_create(miner=miner, defaults=numbers_first(miner))
    kept = bitfield_to_json(bitfield_from_json(row.on_hosts or [0]) | on_hosts)
    SectorNumbers.objects.filter(pk=row.pk).update(on_hosts=kept, read_back_at=work.now)
    Recovery.objects.filter(pk=1).update(sectors_recovered=F("sectors_recovered") + job.count)
    publish(RECOVERY_CHANGE)
    log.info("sectors_read_back", miner=str(miner), changed=job.count)


def _is_first(job: MinerImport) -> bool:
    """Return whether this miner was not read back yet; later it is for what other hosts report."""
    rows = SectorNumbers.objects.filter(miner=job.miner, read_back_at__gte=job.restored_at)
    return not rows.exists()


def _inventories_read(job: MinerImport) -> BitField:
    """Collect what the tenant's hosts have reported of this miner; returns all numbers that they have."""
    reported = HostInventory.objects.filter(
        worker__tenant_id=job.miner.tenant_id, told_at__gte=job.restored_at
    )
    known = Store.objects.filter(tenant_id=job.miner.tenant_id).exclude(uid="")
    by_uid = dict(known.values_list("uid", "name"))
    for inventory in reported.select_related("worker").order_by("told_at"):
        for item in inventory.sectors:
            told = document_decode(SectorOnHost, item)
            found = found_on_host(inventory.worker, told)
            if found is not None and told.inputs.miner_id == job.miner.actor_id:
                other = job.found.get(told.inputs.number)
                if other is None or ORDER[other.state] < ORDER[found.state]:
                    job.found[told.inputs.number] = found
        there = inventory.worker.attachments.filter(condition__in=READABLE, since__lte=inventory.told_at)
        job.read_stores.update(there.values_list("store__name", flat=True))
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


def _hosts_import(job: MinerImport) -> None:
    """Write what the hosts' journals have and the rows lack."""
    rows, all_numbers, now = job.rows(), job.numbers(), job.work.now
    for number, found in job.found.items():
        if found.columns.get("store") == "":
            found.columns["store"] = job.store_of(number)
        row = rows.get(number)
        if row is not None:
            job.count += _host_import(row, found, job)
        elif number not in all_numbers:
            row_create(job.miner, number, state=found.state, now=now, found=found, **found.columns)
            job.count += 1
        pieces_found(job.miner, number, column=found.columns["pieces"], now=now)


def _host_import(row: Sector, found: FoundSector, job: MinerImport) -> bool:
    """Move a row to where its host is with it; what was moved since the restore is not touched."""
    now = job.work.now
    is_bare = row.paused_at is not None and row.job.sticky_worker_id is None
    if is_bare and ORDER[row.state] > ORDER[SectorState.PERSISTED]:
        same = found.comm_r is not None and bytes(row.comm_r or b"") == found.comm_r
        return same and row_move(row, row.state, now=now, found=found)
    if row.stage_since > job.restored_at:
        return False
    is_other = None not in (row.ticket, found.columns["ticket"])
    is_other = is_other and bytes(row.ticket or b"") != found.columns["ticket"]
    is_behind = ORDER[row.state] < ORDER[found.state]
    is_unbound = row.job.sticky_worker_id is None and row.state == found.state
    if is_other or is_behind or is_unbound:
        return row_move(row, found.state, now=now, found=found)
    return False


def _chain_import(job: MinerImport) -> None:
    """Write what the chain has and the rows lack.  Raises NodeRefused, NodeUnavailable."""
    client, key = job.work.client, job.work.head.key
    deadlines = job.work.network.proving.deadlines
    live = live_field(client, job.miner.address, deadlines, key)
    ranges = numbers_allocated(client, job.miner.address, key)
    allocated = BitField(tuple((span.start, span.stop) for span in ranges))
    over = job.numbers(SectorState.COMMIT_LANDED, *FINAL_STATES)
    for numbers in portions(live - over, ASKED_MAX):
        _proven_import(job, numbers)
    job.live = live
    # Each pre-commit has its deposit locked: when those found have all of it, there is no other.
    locked = deposits_locked(client, job.miner.address, key)
    left = UNTOLD_MAX if locked is None else locked
    for numbers in _from_both_ends(allocated - live):
        if left <= 0:
            break
        found = precommits_read(client, job.miner.address, numbers, key)
        _precommitted_import(job, {number: there for number, there in found.items() if number not in over})
        deposits = sum(there.deposit for there in found.values() if there)
        left -= len(numbers) if locked is None else deposits


def _from_both_ends(numbers: BitField) -> Iterator[list[int]]:
    """Yield portions of the highest and the lowest numbers in turn, the highest first.

    Somebody may have had the chain mask out trillions, below or above the numbers that were sealed.
    """
    spans, is_top = deque(numbers.ranges), True
    while spans:
        portion: list[int] = []
        while spans and (room := ASKED_MAX - len(portion)):
            start, end = spans.pop() if is_top else spans.popleft()
            cut = max(start, end - room) if is_top else min(end, start + room)
            portion += range(cut, end) if is_top else range(start, cut)
            if is_top and start < cut:
                spans.append((start, cut))
            elif not is_top and cut < end:
                spans.appendleft((cut, end))
        yield portion
        is_top = not is_top


def _proven_import(job: MinerImport, numbers: Sequence[int]) -> None:
    """Write rows of sectors that the chain has proven."""
    rows, now = job.rows(), job.work.now
    missing: list[dict[str, Any]] = []
    for number, there in sectors_proven_read(
        job.work.client, job.miner.address, numbers, job.work.head.key
    ).items():
        facts: dict[str, Any] = {
            "comm_r": cid_to_commr(cid_parse(there.sealed_cid)),
            "activation": there.activation,
            "expiration": there.expiration,
            "initial_pledge": there.initial_pledge,
        }
        row = rows.get(number)
        if row is None:
            facts |= {"number": number, "store": job.store_of(number), "seal_proof": there.seal_proof}
            missing.append(facts)
        else:
            is_bound = row.job.sticky_worker_id is not None
            state = SectorState.COMMIT_LANDED if is_bound else SectorState.PROVING
            store = row.store or job.store_of(number)
            job.count += row_move(row, state, now=now, store=store, **facts)
    job.count += proven_create(job.miner, missing, now=now)


def _precommitted_import(job: MinerImport, found: dict[int, OnPreCommit | None]) -> None:
    """Write rows of sectors whose pre-commit the chain has; without files they wait for a person."""
    if not any(found.values()):
        return
    rows, now = job.rows(), job.work.now
    for number, there in found.items():
        row = rows.get(number)
        if there is None or (row is not None and ORDER[row.state] > ORDER[SectorState.PRECOMMIT_SENT]):
            continue
        facts: dict[str, Any] = {"precommit_epoch": there.epoch}
        comm_r = cid_to_commr(cid_parse(there.sealed_cid))
        if row is not None and bytes(row.comm_r or b"") == comm_r and row.job.sticky_worker_id is not None:
            job.count += row_move(row, SectorState.PRECOMMIT_LANDED, now=now, **facts)
            continue
        facts |= {"comm_r": comm_r, "ticket_epoch": there.seal_rand_epoch, "seal_proof": there.seal_proof}
        row_without_files(job.miner, number, sector=row, state=SectorState.PRECOMMIT_LANDED, now=now, **facts)
        job.count += 1
