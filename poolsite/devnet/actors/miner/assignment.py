"""New sectors get a deadline and a partition.

Source: builtin-actors actors/miner/src/deadline_assignment.rs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from poolsite.devnet.actors.actor_errors import insufficient
from poolsite.devnet.actors.miner.partitions import sectors_add
from poolsite.devnet.state.sector_rows import EMPTY_PARTITION, Sector
from poolsite.filecoin.deadline_assignment import DeadlineLoad, NoDeadline, deadlines_assign
from poolsite.filecoin.deadlines import is_mutable

if TYPE_CHECKING:
    from poolsite.devnet.actors.miner.state_editor import MinerStateEditor


def sectors_assign(editor: MinerStateEditor, sectors: list[Sector], now: int) -> int:
    """Put sectors into mutable deadlines; returns how many deadlines got one."""
    miner, network = editor.miner, editor.network
    loads = []
    for index in range(network.proving.deadlines):
        if is_mutable(editor.deadline_at(index, now)):
            partitions = editor.partitions(index)
            live = sum(len(partition.live) for partition in partitions)
            total = sum(len(partition.sectors) for partition in partitions)
            loads.append(DeadlineLoad(index, live_sectors=live, total_sectors=total))
    try:
        chosen = deadlines_assign(
            loads,
            len(sectors),
            partition_sectors=miner.partition_sectors,
            max_partitions=network.max_partitions_per_deadline,
        )
    except NoDeadline as error:
        raise insufficient(str(error)) from None
    for index in sorted(set(chosen)):
        deadline_fill(editor, index, [s for s, at in zip(sectors, chosen, strict=True) if at == index], now)
    return len(set(chosen))


def deadline_fill(editor: MinerStateEditor, index: int, sectors: list[Sector], now: int) -> None:
    """Fill the last partition, then open new ones."""
    size = editor.miner.partition_sectors
    grid = editor.deadline_at(index, now).quantization
    deadline = editor.deadline(index)
    at = max(deadline.partitions - 1, 0)
    queue = sorted(sectors, key=lambda sector: sector.number)
    while queue:
        partition = editor.partition(index, at) or EMPTY_PARTITION
        room = size - len(partition.sectors)
        batch, queue = queue[:room], queue[room:]
        if batch:
            pairs = [(sector.number, grid.up(sector.expiration)) for sector in batch]
            editor.save_partition(index, at, sectors_add(partition, pairs))
            for sector in batch:
                editor.save_sector(replace(sector, deadline=index, partition=at))
        at += 1
    editor.save_deadline(index, replace(deadline, partitions=max(deadline.partitions, at)))
