"""ExtendSectorExpiration2: sectors live longer, with or without the claims on their verified data.

Source: builtin-actors actors/miner/src/lib.rs validate_extension_declarations, extend_sector_committment,
extend_simple_qap_sector; FIP-0045, FIP-0100.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from poolsite.devnet.actors.actor_errors import bad_argument, forbidden, illegal_state, not_found
from poolsite.devnet.actors.economy import economy
from poolsite.devnet.actors.miner.partitions import numbers_union, queue_add, queue_remove
from poolsite.devnet.actors.miner.state_editor import (
    MinerStateEditor,
    editor_open,
    numbers_of,
    sector_quality,
)
from poolsite.devnet.state.verified_rows import DataClaim, data_claims_of
from poolsite.filecoin.actors.miner_sectors import ExtendSectorExpiration2Params
from poolsite.filecoin.expiration import BadExpiration, extension_check
from poolsite.filecoin.gas_model import extend_gas
from poolsite.filecoin.policy import CLAIM_DROP_PERIOD

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.devnet.state.sector_rows import Partition, Sector
    from poolsite.filecoin.actors.miner_sectors import ExpirationExtension2, SectorClaim


@dataclass(frozen=True, slots=True)
class ClaimedSpace:
    """Verified bytes of a sector as its extension declares them."""

    all: int = 0
    """Of the claims that stay and of those that are given up."""
    maintained: int = 0
    """Of the claims that stay."""


def extend_expiration(call: Call) -> bytes:
    """Handle ExtendSectorExpiration2."""
    extensions: tuple[ExpirationExtension2, ...] = call.read(ExtendSectorExpiration2Params).extensions
    spaces: dict[int, ClaimedSpace] = {}
    deadlines = call.network.proving.deadlines
    for entry in extensions:
        if entry.deadline >= deadlines:
            raise bad_argument(f"deadline {entry.deadline} not in range 0..{deadlines}")
        for sector_claim in entry.sectors_with_claims:
            space = _claims_check(call, sector_claim, entry.new_expiration)
            before = spaces.get(sector_claim.sector_number, ClaimedSpace())
            total = ClaimedSpace(before.all + space.all, before.maintained + space.maintained)
            spaces[sector_claim.sector_number] = total
    editor = editor_open(call)
    count = 0
    for entry in extensions:
        claimed = (sector_claim.sector_number for sector_claim in entry.sectors_with_claims)
        numbers = numbers_union(numbers_of(entry.sectors), claimed)
        count += len(numbers)
        _extend(call, editor, entry, numbers=numbers, spaces=spaces)
    call.charge_to(extend_gas(count))
    return b""


def _claims_check(call: Call, entry: SectorClaim, expiration: int) -> ClaimedSpace:
    """Return the verified bytes that a sector's claims hold.  Raises ActorError 16, 18."""
    numbers = (*entry.maintain_claims, *entry.drop_claims)
    claims: list[DataClaim | None] = [call.draft.get(data_claims_of(call.receiver), at) for at in numbers]
    found = [claim for claim in claims if claim is not None]
    if len(found) < len(numbers):
        raise bad_argument(f"failed to get claims for sector {entry.sector_number}: invalid claims")
    maintained = 0
    for at, (number, claim) in enumerate(zip(numbers, found, strict=True)):
        prefix = f"failed to validate declaration sector={entry.sector_number}, claim={number}"
        if claim.sector != entry.sector_number:
            raise bad_argument(
                f"{prefix} expected claim sector number to be {entry.sector_number} but found {claim.sector} "
            )
        if at < len(entry.maintain_claims):
            last = claim.term_start + claim.term_max
            if expiration > last:
                raise forbidden(
                    f"{prefix} claim only allows extension to {last} but declared new expiration is "
                    f"{expiration}"
                )
            maintained += claim.size
    return ClaimedSpace(sum(claim.size for claim in found), maintained)


def _extend(
    call: Call,
    editor: MinerStateEditor,
    entry: ExpirationExtension2,
    *,
    numbers: tuple[int, ...],
    spaces: dict[int, ClaimedSpace],
) -> None:
    key = f"PartitionKey {{ deadline: {entry.deadline}, partition: {entry.partition} }}"
    partition = editor.partition(entry.deadline, entry.partition)
    if partition is None:
        raise not_found(f"no such partition {key}")
    old = [_sector(editor, number) for number in numbers]
    new = [
        _extended(call, sector, entry.new_expiration, size=editor.miner.sector_size, spaces=spaces)
        for sector in old
    ]
    for sector in old:
        if sector.number not in partition.live or sector.number in partition.faults:
            raise illegal_state(
                f"failed to replace sector expirations at {key}: failed to replace sector expirations: "
                f"failed to remove replaced sectors: Invalid attempt to group sector {sector.number} with "
                "an early expiration"
            )
    if not set(numbers) <= set(partition.active):  # one whose first window has not been proven
        raise illegal_state(
            f"failed to replace sector expirations at {key}: refusing to replace inactive sectors in "
            f"{list(numbers)} (active: {list(partition.active)})"
        )
    _power_update(editor, partition, old, new)
    grid = editor.deadline_at(entry.deadline, call.epoch).quantization
    expirations = queue_remove(partition.expirations, set(numbers))
    for sector in new:
        editor.save_sector(sector)
        expirations = queue_add(expirations, grid.up(sector.expiration), (sector.number,))
    editor.save_partition(entry.deadline, entry.partition, replace(partition, expirations=expirations))


def _sector(editor: MinerStateEditor, number: int) -> Sector:
    sector = editor.sector(number)
    if sector is None:
        raise not_found(f"failed to load sectors: sector not found: {number}")
    return sector


def _extended(
    call: Call, sector: Sector, expiration: int, *, size: int, spaces: dict[int, ClaimedSpace]
) -> Sector:
    """Return the sector with its new end, its weights from now on, and the daily fee of its new power."""
    now = call.epoch
    if sector.expiration < now:
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
    life = sector.expiration - sector.power_base_epoch
    longer = replace(
        sector,
        expiration=expiration,
        power_base_epoch=now,
        deal_weight=sector.deal_weight * (sector.expiration - now) // life,
    )
    if sector.verified_weight:
        space = _maintained_space(sector, spaces.get(sector.number), now=now)
        longer = replace(longer, verified_weight=space * (expiration - now))
    old_quality, quality = sector_quality(sector, size), sector_quality(longer, size)
    if not sector.daily_fee:
        return replace(longer, daily_fee=economy(call.machine).daily_fee(quality))
    return replace(longer, daily_fee=sector.daily_fee * quality // old_quality)


def _maintained_space(sector: Sector, space: ClaimedSpace | None, *, now: int) -> int:
    """Return the verified bytes that stay; all claims must be declared.  Raises ActorError 16, 18."""
    if space is None:
        raise bad_argument(
            f"claim missing from declaration for sector {sector.number} with non-zero verified deal weight "
            f"{sector.verified_weight}"
        )
    verified_space = sector.verified_weight // (sector.expiration - sector.power_base_epoch)
    if space.all != verified_space:
        raise bad_argument(
            f"declared verified deal space in claims ({space.all}) does not match verified deal space "
            f"({verified_space}) for sector {sector.number}"
        )
    remaining = sector.expiration - now
    if space.maintained != space.all and remaining > CLAIM_DROP_PERIOD:
        raise forbidden(
            f"attempt to drop claims with {remaining} epochs > end of life claim drop period "
            f"{CLAIM_DROP_PERIOD} remaining"
        )
    return space.maintained


def _power_update(
    editor: MinerStateEditor, partition: Partition, old: list[Sector], new: list[Sector]
) -> None:
    size = editor.miner.sector_size
    active = set(partition.active)
    change = sum(
        sector_quality(after, size) - sector_quality(before, size)
        for before, after in zip(old, new, strict=True)
        if before.number in active
    )
    editor.power_change(0, change)
