"""Which snap-ups' updates go to the chain now, and which of them share a message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apps.miners.models import Miner
from apps.sectors.models import PipelineRun
from apps.sectors.onchain.deadline_windows import last_mutable_epoch_compute, open_deadline_read
from apps.sectors.onchain.sectors import OnSector, partitions_of, sectors_read
from apps.sectors.reasons import ALREADY_ON_CHAIN, DATA_LATE, EXPIRED, GONE_FROM_CHAIN, SECTOR_FAULTY
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.batches.requests import REQUESTED, requested_height_read
from apps.sectors.services.runs.steps import run_console_fail, run_console_step
from apps.sectors.services.sealing.placements import piece_start_epochs_read
from poolsite.filecoin.cids import commr_cid


def updates_choose(
    miner: Miner, *, placed: Sequence[Placed], work: SealingContext
) -> tuple[list[Placed], str]:
    """Choose the updates that go now, and say why; none if they shall wait."""
    height, most = work.head.height, work.policy.update_batch_max
    for run, _, _ in placed:
        if run.ready_height is None:
            run.ready_height = height
            PipelineRun.objects.filter(pk=run.pk, ready_height=None).update(ready_height=height)
    first = sorted(placed, key=lambda one: (one[0].ready_height or 0, one[0].pk))
    if not first:
        return [], ""
    numbers = [run.sector.number for run, _, _ in placed]
    first_end = min(piece_start_epochs_read(miner, numbers=numbers).values(), default=None)
    if first_end is not None and first_end - height <= work.policy.precommit_slack_epochs:
        return first, "deadline"
    if (first[0][0].ready_height or height) <= requested_height_read(miner):
        return first, REQUESTED
    if work.policy.is_held("update", int(work.head.base_fee)):
        return [], ""
    if height - (first[0][0].ready_height or height) >= work.policy.update_wait_epochs:
        return first, "timeout"
    return first[: len(first) // most * most], "full"


def unlanded_updates_select(
    miner: Miner, *, runs: Sequence[PipelineRun], work: SealingContext
) -> list[PipelineRun]:
    """Return the runs whose update the chain does not have; those of sectors that ended have failed.

    Those of faulty sectors wait, and those too late for their data: somebody decides.
    """
    numbers = [run.sector.number for run in runs]
    found = sectors_read(work.client, miner.address, numbers, work.head.key)
    ends = piece_start_epochs_read(miner, numbers=numbers)
    ready = []
    for run in runs:
        onchain = found[run.sector.number]
        if onchain is None:
            run_console_fail(run, error=GONE_FROM_CHAIN(), now=work.now)
        elif is_updated(run, onchain=onchain):  # by a message that was given up and landed all the same
            run_console_step(run, event="SEND_UPDATE", now=work.now, note=ALREADY_ON_CHAIN())
        elif onchain.expiration <= work.head.height:
            run_console_fail(run, error=EXPIRED(), now=work.now)
        elif (last := ends.get(run.sector.number)) is not None and last <= work.head.height:
            run_console_fail(run, error=DATA_LATE(last=last), now=work.now)
        elif not run.sector.active:  # the chain would refuse it, and a recovery takes longer than its tries
            if not SECTOR_FAULTY.made(run.error):
                PipelineRun.objects.filter(pk=run.pk).update(error=SECTOR_FAULTY())
        else:
            ready.append(run)
    return ready


Placed = tuple[PipelineRun, tuple[int, int], int]
"""A run, its sector's deadline and partition, and until when that deadline may be changed."""


def updates_place(miner: Miner, *, runs: Sequence[PipelineRun], work: SealingContext) -> list[Placed]:
    """Return the runs whose deadline may be changed now."""
    if not runs:
        return []
    numbers = [run.sector.number for run in runs]
    places = partitions_of(work.client, miner.address, numbers, work.head.key)
    current = open_deadline_read(work.client, miner.address, key=work.head.key, height=work.head.height)
    found: list[Placed] = []
    for run in runs:
        place = places.get(run.sector.number)
        last = (
            None
            if place is None
            else last_mutable_epoch_compute(current, index=place[0], height=work.head.height)
        )
        if place is not None and last is not None:
            found.append((run, place, last))
    return found


@dataclass(frozen=True, slots=True)
class UpdateTrial:
    """An update that the chain would take alone."""

    placed: Placed
    size: int
    """Bytes of parameters of its own message."""
    needed: int
    """attoFIL of pledge that it adds, with the margin."""
    is_notifying: bool
    """Whether a market is told, whose refusal ends the whole message."""


def updates_group(tried: Sequence[UpdateTrial], *, most: int, most_bytes: int) -> list[list[UpdateTrial]]:
    """Return which updates share a message, each as full as its limits allow; one at least is in each."""
    batches: list[list[UpdateTrial]] = [[one] for one in tried if one.is_notifying]
    batch: list[UpdateTrial] = []
    room = most_bytes
    for one in tried:
        if one.is_notifying:
            continue
        if batch and (len(batch) == most or one.size > room):
            batches.append(batch)
            batch, room = [], most_bytes
        batch.append(one)
        room -= one.size
    return [*batches, batch] if batch else batches


def chain_sector_read(run: PipelineRun, *, work: SealingContext) -> OnSector | None:
    """Return a run's sector as the chain has it."""
    number = run.sector.number
    return sectors_read(work.client, run.sector.miner.address, [number], work.head.key)[number]


def is_updated(run: PipelineRun, *, onchain: OnSector | None) -> bool:
    """Return whether the chain has what a run made."""
    return onchain is not None and onchain.sealed_cid == str(commr_cid(bytes(run.comm_r or b"")))
