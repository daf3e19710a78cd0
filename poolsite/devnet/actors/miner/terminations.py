"""TerminateSectors: sectors end before their time, for a fee.

Source: builtin-actors actors/miner/src/lib.rs terminate_sectors, partition_state.rs terminate_sectors.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from poolsite.devnet.actors.actor_errors import bad_argument, not_found
from poolsite.devnet.actors.economy import economy
from poolsite.devnet.actors.miner.funds import penalty_apply
from poolsite.devnet.actors.miner.partitions import sectors_end
from poolsite.devnet.actors.miner.state_editor import (
    MinerStateEditor,
    editor_open,
    numbers_of,
    sector_quality,
)
from poolsite.devnet.actors.nested import nested_send
from poolsite.devnet.actors.vesting import vesting_unlock
from poolsite.filecoin.actors.market import Method
from poolsite.filecoin.actors.market_deals import OnMinerSectorsTerminateParams
from poolsite.filecoin.actors.miner_proving import TerminateSectorsParams, TerminateSectorsReturn
from poolsite.filecoin.address import MARKET_ACTOR
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.deadlines import is_mutable
from poolsite.filecoin.gas_model import terminate_gas

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.devnet.state.sector_rows import Sector


def terminate_sectors(call: Call) -> bytes:
    """Handle TerminateSectors; the fee is taken at once, so the answer is always "done"."""
    entries = call.read(TerminateSectorsParams).terminations
    for entry in entries:
        _check_index(call, entry.deadline)
    editor = editor_open(call)
    ended: list[Sector] = []
    for entry in entries:
        if not is_mutable(editor.deadline_at(entry.deadline, call.epoch)):
            raise bad_argument(f"cannot terminate sectors in immutable deadline {entry.deadline}")
        numbers = numbers_of(entry.sectors)
        ended += _partition_end(editor, entry.deadline, entry.partition, numbers=numbers)
    _settle(call, editor, ended)
    call.charge_to(terminate_gas(len(ended)))
    return to_cbor(TerminateSectorsReturn(True))


def _check_index(call: Call, index: int) -> None:
    deadlines = call.network.proving.deadlines
    if index >= deadlines:
        raise bad_argument(f"deadline {index} not in range 0..{deadlines}")


def _partition_end(
    editor: MinerStateEditor, deadline: int, index: int, *, numbers: tuple[int, ...]
) -> list[Sector]:
    """End live sectors of one partition; gives them as they were."""
    prefix = f"failed to terminate sectors in deadline {deadline}: "
    partition = editor.partition(deadline, index)
    if partition is None:
        raise not_found(f"{prefix}no such partition {index}")
    if not set(numbers) <= set(partition.live):
        raise bad_argument(
            f"{prefix}failed to terminate sectors in partition {index}: can only terminate live sectors"
        )
    active = set(partition.active)
    raw, quality = editor.power(number for number in numbers if number in active)
    editor.power_change(-raw, -quality)
    editor.save_partition(deadline, index, sectors_end(partition, numbers))
    return editor.sectors(numbers)


def _settle(call: Call, editor: MinerStateEditor, ended: list[Sector]) -> None:
    """Release the pledge, end deals, take the fee: vesting funds, then the balance, the rest is debt."""
    money = economy(call.machine)
    miner = editor.miner
    fee = sum(
        money.termination_fee(sector, quality=sector_quality(sector, miner.sector_size), epoch=call.epoch)
        for sector in ended
    )
    released = sum(sector.pledge for sector in ended)
    miner = replace(miner, pledge=miner.pledge - released)
    miner = vesting_unlock(penalty_apply(call.machine, editor.id, miner, fee), now=call.epoch)
    editor.save(miner)
    editor.pledge_change(-released)
    if ended:
        notice = OnMinerSectorsTerminateParams(call.epoch, bitfield_of([sector.number for sector in ended]))
        nested_send(
            call,
            to=MARKET_ACTOR,
            method=Method.ON_MINER_SECTORS_TERMINATE,
            params=to_cbor(notice),
        )
