"""ExtendSectorExpiration2: sectors live longer.

Source: builtin-actors actors/miner/src/lib.rs extend_sector_expiration_inner, extend_simple_qap_sector.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from poolsite.devnet.actors.economy import economy
from poolsite.devnet.actors.exits import bad_argument, forbidden, illegal_state, not_found
from poolsite.devnet.actors.miner.book import Book, book_open, numbers_of, sector_quality
from poolsite.devnet.actors.miner.partitions import queue_add, queue_remove
from poolsite.filecoin.actors.miner_sectors import EXTEND_SECTOR_EXPIRATION2_PARAMS
from poolsite.filecoin.expiration import BadExpiration, extension_check
from poolsite.filecoin.gas_model import extend_gas

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.devnet.state.rows import Partition, Sector
    from poolsite.filecoin.actors.miner_sectors import ExpirationExtension2


def extend_expiration(call: Call) -> bytes:
    """Handle ExtendSectorExpiration2."""
    extensions: tuple[ExpirationExtension2, ...] = call.read(EXTEND_SECTOR_EXPIRATION2_PARAMS).extensions
    deadlines = call.network.proving.deadlines
    for entry in extensions:
        if entry.deadline >= deadlines:
            raise bad_argument(f"deadline {entry.deadline} not in range 0..{deadlines}")
    book = book_open(call)
    count = 0
    for entry in extensions:
        numbers = numbers_of(entry.sectors) + tuple(c.sector_number for c in entry.sectors_with_claims)
        count += len(numbers)
        _extend(call, book, entry, numbers=tuple(sorted(numbers)))
    call.charge_to(extend_gas(count))
    return b""


def _extend(call: Call, book: Book, entry: ExpirationExtension2, *, numbers: tuple[int, ...]) -> None:
    key = f"PartitionKey {{ deadline: {entry.deadline}, partition: {entry.partition} }}"
    partition = book.partition(entry.deadline, entry.partition)
    if partition is None:
        raise not_found(f"no such partition {key}")
    old = [_sector(book, number) for number in numbers]
    new = [_extended(call, sector, entry.new_expiration) for sector in old]
    for sector in old:
        if sector.number not in partition.live or sector.number in partition.faults:
            raise illegal_state(
                f"failed to replace sector expirations at {key}: failed to replace sector expirations: "
                f"failed to remove replaced sectors: Invalid attempt to group sector {sector.number} with "
                "an early expiration"
            )
    _power_update(book, partition, old, new)
    grid = book.deadline_at(entry.deadline, call.epoch).quantization
    expirations = queue_remove(partition.expirations, set(numbers))
    for sector in new:
        book.save_sector(sector)
        expirations = queue_add(expirations, grid.up(sector.expiration), (sector.number,))
    book.save_partition(entry.deadline, entry.partition, replace(partition, expirations=expirations))


def _sector(book: Book, number: int) -> Sector:
    sector = book.sector(number)
    if sector is None:
        raise not_found(f"failed to load sectors: sector not found: {number}")
    return sector


def _extended(call: Call, sector: Sector, expiration: int) -> Sector:
    """The sector with its new end; the weight of its verified data is spread over what is left."""
    now = call.epoch
    if sector.expiration <= now:
        raise forbidden(f"cannot extend expiration for expired sector {sector.number} at {sector.expiration}")
    try:
        extension_check(
            expiration,
            sector=sector.number,
            old_expiration=sector.expiration,
            activation=sector.activation,
            now=now,
            network=call.network,
        )
    except BadExpiration as error:
        raise bad_argument(str(error)) from None
    left = sector.expiration - now
    was = max(sector.expiration - sector.power_base_epoch, 1)
    weight = sector.verified_weight * left // was
    longer = replace(sector, expiration=expiration, power_base_epoch=now, verified_weight=weight)
    if not sector.daily_fee:
        quality = sector_quality(longer, call.machine.draft.get("miners", call.receiver).sector_size)
        longer = replace(longer, daily_fee=economy(call.machine).daily_fee(quality))
    return longer


def _power_update(book: Book, partition: Partition, old: list[Sector], new: list[Sector]) -> None:
    size = book.miner.sector_size
    active = set(partition.active)
    change = sum(
        sector_quality(after, size) - sector_quality(before, size)
        for before, after in zip(old, new, strict=True)
        if before.number in active
    )
    book.power_change(0, change)
