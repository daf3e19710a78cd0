"""New sectors get a deadline and a partition.

Source: builtin-actors actors/miner/src/deadline_assignment.rs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from poolsite.devnet.actors.exits import insufficient
from poolsite.devnet.actors.miner.partitions import sectors_add
from poolsite.devnet.state.rows import EMPTY_PARTITION, Sector
from poolsite.filecoin.deadlines import DeadlineLoad, NoDeadline, deadlines_assign, is_mutable

if TYPE_CHECKING:
    from poolsite.devnet.actors.miner.book import Book


def sectors_assign(book: Book, sectors: list[Sector], now: int) -> int:
    """Put sectors into mutable deadlines; returns how many deadlines got one."""
    miner, network = book.miner, book.network
    loads = []
    for index in range(network.proving.deadlines):
        if is_mutable(book.deadline_at(index, now)):
            partitions = book.partitions(index)
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
        deadline_fill(book, index, [s for s, at in zip(sectors, chosen, strict=True) if at == index], now)
    return len(set(chosen))


def deadline_fill(book: Book, index: int, sectors: list[Sector], now: int) -> None:
    """Fill the last partition, then open new ones."""
    size = book.miner.partition_sectors
    grid = book.deadline_at(index, now).quantization
    deadline = book.deadline(index)
    at = max(deadline.partitions - 1, 0)
    queue = sorted(sectors, key=lambda sector: sector.number)
    while queue:
        partition = book.partition(index, at) or EMPTY_PARTITION
        room = size - len(partition.sectors)
        batch, queue = queue[:room], queue[room:]
        if batch:
            pairs = [(sector.number, grid.up(sector.expiration)) for sector in batch]
            book.save_partition(index, at, sectors_add(partition, pairs))
            for sector in batch:
                book.save_sector(replace(sector, deadline=index, partition=at))
        at += 1
    book.save_deadline(index, replace(deadline, partitions=max(deadline.partitions, at)))
