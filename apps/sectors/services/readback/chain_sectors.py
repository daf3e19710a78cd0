"""Sectors are read back from the chain, what hosts and messages do not have of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Final

from apps.miners.onchain.actors import deposits_locked, numbers_allocated
from apps.miners.onchain.partition_facts import live_field
from apps.sectors.onchain.sectors import OnPreCommit, precommits_read, sectors_proven_read
from apps.sectors.services.readback.imports import ORDER, proven_create, row_move, row_write_without_files
from apps.sectors.services.readback.miner_import import MinerImport
from apps.sectors.services.readback.proven_compare import READ_MAX
from poolsite.filecoin.bitfield import BitField, portions
from poolsite.filecoin.cids import cid_parse, cid_to_commr
from poolsite.wire.pipeline import FINAL_STATES, SectorState

UNTOLD_MAX: Final = 1_000_000
"""Allocated numbers for which a pre-commit is looked for where the node tells no sum of the deposits."""


def chain_import(job: MinerImport) -> None:
    """Write what the chain has and the rows lack.  Raises NodeRefused, NodeUnavailable."""
    client, key = job.work.client, job.work.head.key
    deadlines = job.work.network.proving.deadlines
    live = live_field(client, job.miner.address, deadlines, key)
    ranges = numbers_allocated(client, job.miner.address, key)
    allocated = BitField(tuple((span.start, span.stop) for span in ranges))
    over = job.numbers(SectorState.COMMIT_LANDED, *FINAL_STATES)
    for numbers in portions(live - over, READ_MAX):
        _proven_import(job, numbers)
    job.live = live
    # Each pre-commit has its deposit locked: when those found have all of it, there is no other.
    locked = deposits_locked(client, job.miner.address, key)
    left = UNTOLD_MAX if locked is None else locked
    for numbers in _from_both_ends(allocated - live):
        if left <= 0:
            break
        found = precommits_read(client, job.miner.address, numbers, key)
        _precommitted_import(
            job, {number: onchain for number, onchain in found.items() if number not in over}
        )
        deposits = sum(onchain.deposit for onchain in found.values() if onchain)
        left -= len(numbers) if locked is None else deposits


def _from_both_ends(numbers: BitField) -> Iterator[list[int]]:
    """Yield portions of the highest and the lowest numbers in turn, the highest first.

    Somebody may have had the chain mask out trillions, below or above the numbers that were sealed.
    """
    spans, is_top = deque(numbers.ranges), True
    while spans:
        portion: list[int] = []
        while spans and (room := READ_MAX - len(portion)):
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
    for number, onchain in sectors_proven_read(
        job.work.client, job.miner.address, numbers, job.work.head.key
    ).items():
        facts: dict[str, Any] = {
            "comm_r": cid_to_commr(cid_parse(onchain.sealed_cid)),
            "activation": onchain.activation,
            "expiration": onchain.expiration,
            "initial_pledge": onchain.initial_pledge,
        }
        row = rows.get(number)
        if row is None:
            facts |= {"number": number, "store": job.store_of(number), "seal_proof": onchain.seal_proof}
            missing.append(facts)
        else:
            is_bound = row.job.sticky_worker_id is not None
            state = SectorState.COMMIT_LANDED if is_bound else SectorState.PROVING
            store = row.store or job.store_of(number)
            job.count += row_move(row, state=state, now=now, store=store, **facts)
    job.count += proven_create(job.miner, facts=missing, now=now)


def _precommitted_import(job: MinerImport, found: dict[int, OnPreCommit | None]) -> None:
    """Write rows of sectors whose pre-commit the chain has; without files they wait for a person."""
    if not any(found.values()):
        return
    rows, now = job.rows(), job.work.now
    for number, onchain in found.items():
        row = rows.get(number)
        if onchain is None or (row is not None and ORDER[row.state] > ORDER[SectorState.PRECOMMIT_SENT]):
            continue
        facts: dict[str, Any] = {"precommit_epoch": onchain.epoch}
        comm_r = cid_to_commr(cid_parse(onchain.sealed_cid))
        if row is not None and bytes(row.comm_r or b"") == comm_r and row.job.sticky_worker_id is not None:
            job.count += row_move(row, state=SectorState.PRECOMMIT_LANDED, now=now, **facts)
            continue
        facts |= {"comm_r": comm_r, "ticket_epoch": onchain.seal_rand_epoch, "seal_proof": onchain.seal_proof}
        row_write_without_files(
            job.miner, number=number, sector=row, state=SectorState.PRECOMMIT_LANDED, now=now, **facts
        )
        job.count += 1
