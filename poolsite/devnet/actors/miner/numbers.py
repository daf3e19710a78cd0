"""Sector numbers: each is used once; CompactSectorNumbers and CheckSectorProven.

Source: builtin-actors actors/miner/src/lib.rs compact_sector_numbers, check_sector_proven;
state.rs allocate_sector_numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.devnet.actors.actor_errors import bad_argument, not_found, ranges
from poolsite.devnet.actors.miner.state_editor import MinerStateEditor, editor_open
from poolsite.filecoin.actors.miner_proving import CompactSectorNumbersParams
from poolsite.filecoin.actors.miner_sectors import CheckSectorProvenParams
from poolsite.filecoin.bitfield import bitfield_from_bytes, bitfield_of, bitfield_to_bytes
from poolsite.filecoin.gas_model import FAIL_STATE
from poolsite.filecoin.sector import MAX_SECTOR_NUMBER

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call


def numbers_allocate(allocated: bytes, numbers: list[int]) -> bytes:
    """Use up sector numbers.  Raises ActorError 16 if one was used before."""
    used, new = bitfield_from_bytes(allocated), bitfield_of(numbers)
    both = used & new
    if both:
        raise bad_argument(f"sector numbers {ranges(both)} already allocated")
    return bitfield_to_bytes(used | new)


def compact_numbers(call: Call) -> bytes:
    """Handle CompactSectorNumbers: numbers are used up without sectors."""
    mask = call.read(CompactSectorNumbersParams).mask_sector_numbers
    if mask and mask.ranges[-1][1] > MAX_SECTOR_NUMBER + 1:
        raise bad_argument(f"masked sector number {mask.ranges[-1][1] - 1} exceeded max sector number")
    editor = editor_open(call)
    allocated = bitfield_from_bytes(editor.miner.allocated)
    editor.change(allocated=bitfield_to_bytes(allocated | mask))
    return b""


def check_proven(call: Call) -> bytes:
    """Handle CheckSectorProven: anybody may ask."""
    number = call.read(CheckSectorProvenParams).sector_number
    call.charge_to(FAIL_STATE)
    if MinerStateEditor(call.machine, call.receiver).sector(number) is None:
        raise not_found(f"sector {number} not proven")
    return b""
