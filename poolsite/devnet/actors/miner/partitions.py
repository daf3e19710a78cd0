"""Partitions: which sectors are proven together, and what happens to them when they fail, return or end.

Pure steps from one `Partition` to the next; the caller moves the power and the money.
Source: builtin-actors actors/miner/src/partition_state.rs, expiration_queue.rs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poolsite.devnet.state.sector_rows import Partition

Queue = tuple[tuple[int, tuple[int, ...]], ...]


def numbers_union(numbers: Iterable[int], added: Iterable[int]) -> tuple[int, ...]:
    """Union as a sorted tuple."""
    return tuple(sorted({*numbers, *added}))


def numbers_difference(numbers: Iterable[int], removed: Collection[int]) -> tuple[int, ...]:
    """Difference as a tuple in the same order."""
    return tuple(number for number in numbers if number not in removed)


def queue_add(queue: Queue, epoch: int, numbers: Collection[int]) -> Queue:
    """Add sectors at an epoch."""
    if not numbers:
        return queue
    entries = dict(queue)
    entries[epoch] = numbers_union(entries.get(epoch, ()), numbers)
    return tuple(sorted(entries.items()))


def queue_remove(queue: Queue, numbers: Collection[int]) -> Queue:
    """Remove sectors wherever they are."""
    cut = ((epoch, numbers_difference(members, numbers)) for epoch, members in queue)
    return tuple((epoch, members) for epoch, members in cut if members)


def queue_epochs(queue: Queue) -> dict[int, int]:
    """Epoch of each sector."""
    return {number: epoch for epoch, members in queue for number in members}


def queue_due(queue: Queue, until: int) -> tuple[Queue, tuple[int, ...]]:
    """Split off the sectors due at or before `until`."""
    due = [number for epoch, members in queue if epoch <= until for number in members]
    return tuple(entry for entry in queue if entry[0] > until), tuple(sorted(due))


def sectors_add(partition: Partition, sectors: Iterable[tuple[int, int]]) -> Partition:
    """Add new sectors (number, quantised expiration); they count as power after their first proof."""
    pairs = list(sectors)
    numbers = [number for number, _ in pairs]
    expirations = partition.expirations
    for number, epoch in pairs:
        expirations = queue_add(expirations, epoch, (number,))
    return replace(
        partition,
        sectors=numbers_union(partition.sectors, numbers),
        unproven=numbers_union(partition.unproven, numbers),
        expirations=expirations,
    )


def faults_add(partition: Partition, numbers: Collection[int], *, expiration: int) -> Partition:
    """Make sectors faulty; they end early at `expiration` unless they end on time before it."""
    on_time = queue_epochs(partition.expirations)
    earlier = [number for number in numbers if on_time.get(number, expiration) > expiration]
    return replace(
        partition,
        faults=numbers_union(partition.faults, numbers),
        recoveries=numbers_difference(partition.recoveries, set(numbers)),
        unproven=numbers_difference(partition.unproven, set(numbers)),
        expirations=queue_remove(partition.expirations, set(earlier)),
        early=queue_add(partition.early, expiration, earlier),
    )


def faults_recover(partition: Partition, on_time: dict[int, int]) -> Partition:
    """Clear the faults of the recovering sectors; `on_time`: their quantised expirations."""
    recovered = set(partition.recoveries)
    expirations = queue_remove(partition.expirations, recovered)
    for number in partition.recoveries:
        expirations = queue_add(expirations, on_time[number], (number,))
    return replace(
        partition,
        faults=numbers_difference(partition.faults, recovered),
        recoveries=(),
        expirations=expirations,
        early=queue_remove(partition.early, recovered),
    )


def sectors_end(partition: Partition, numbers: Collection[int]) -> Partition:
    """Terminate sectors, on time or early."""
    removed = set(numbers)
    return replace(
        partition,
        terminated=numbers_union(partition.terminated, removed),
        faults=numbers_difference(partition.faults, removed),
        recoveries=numbers_difference(partition.recoveries, removed),
        unproven=numbers_difference(partition.unproven, removed),
        expirations=queue_remove(partition.expirations, removed),
        early=queue_remove(partition.early, removed),
    )
