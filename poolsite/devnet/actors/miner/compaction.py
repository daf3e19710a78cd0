"""CompactPartitions: terminated sectors leave a deadline, the living ones move together.

Source: builtin-actors actors/miner/src/lib.rs compact_partitions, deadline_state.rs compact_partitions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from poolsite.devnet.actors.actor_errors import bad_argument, forbidden
from poolsite.devnet.actors.miner.partitions import sectors_add
from poolsite.devnet.actors.miner.state_editor import MinerStateEditor, editor_open, numbers_of
from poolsite.devnet.state.sector_rows import EMPTY_PARTITION, partitions_of, sectors_of
from poolsite.filecoin.actors.miner_proving import CompactPartitionsParams
from poolsite.filecoin.deadlines import is_available_for_compaction

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.devnet.state.sector_rows import Partition, Sector


def compact_partitions(call: Call) -> bytes:
    """Handle CompactPartitions."""
    params = call.read(CompactPartitionsParams)
    index = params.deadline
    if index >= call.network.proving.deadlines:
        raise bad_argument(f"invalid deadline {index}")
    chosen = numbers_of(params.partitions)
    editor = editor_open(call)
    window = call.network.dispute_window
    if not is_available_for_compaction(editor.deadline_at(index, call.epoch), dispute_window=window):
        raise forbidden(
            f"cannot compact deadline {index} during its challenge window, or the prior challenge window, "
            f"or before {window} epochs have passed since its last challenge window ended"
        )
    limit = call.network.posted_partitions_max
    if len(chosen) > limit:
        raise bad_argument(f"too many partitions {len(chosen)}, limit {limit}")
    partitions = editor.partitions(index)
    if any(at >= len(partitions) for at in chosen):
        raise bad_argument(f"partition index {chosen[-1]} out of range [0, {len(partitions)})")
    for at in chosen:
        _check(partitions[at], at)
    dead = [number for at in chosen for number in partitions[at].terminated]
    live = editor.sectors(number for at in chosen for number in partitions[at].live)
    for number in dead:
        call.draft.delete(sectors_of(editor.id), number)
    remaining = [partition for at, partition in enumerate(partitions) if at not in set(chosen)]
    _rebuild(editor, index, remaining, live)
    return b""


def _check(partition: Partition, at: int) -> None:
    """Raise ActorError 16 for a partition whose sectors must stay where they are."""
    if partition.unpaid:
        raise bad_argument("cannot remove partitions from deadline with early terminations")
    if partition.faults:
        raise bad_argument(f"cannot remove partition {at}: has faults")
    if partition.unproven:
        raise bad_argument(f"cannot remove partition {at}: has unproven sectors")


def _rebuild(editor: MinerStateEditor, index: int, remaining: list[Partition], live: list[Sector]) -> None:
    """Renumber the partitions, and put the sectors, which are proven, behind them."""
    size, grid = editor.miner.partition_sectors, editor.deadline_at(index, 0).quantization
    partitions = list(remaining)
    for sector in sorted(live, key=lambda one: one.number):
        if not partitions or len(partitions[-1].sectors) >= size:
            partitions.append(EMPTY_PARTITION)
        last = partitions[-1]
        grown = sectors_add(last, [(sector.number, grid.up(sector.expiration))])
        partitions[-1] = replace(grown, unproven=last.unproven)
    deadline = editor.deadline(index)
    for at, partition in enumerate(partitions):
        editor.save_partition(index, at, partition)
        for sector in editor.sectors(partition.sectors):
            editor.save_sector(replace(sector, partition=at))
    for at in range(len(partitions), deadline.partitions):
        editor.state.delete(partitions_of(editor.id), (index, at))
    editor.save_deadline(index, replace(deadline, partitions=len(partitions)))
