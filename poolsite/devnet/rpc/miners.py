"""Filecoin.StateMiner*: miners in the state that a tipset builds on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.actors.ledger import KIND_MINER, actor_get, resolve, resolve_existing
from poolsite.devnet.actors.miner.funds import available
from poolsite.devnet.actors.miner.state_editor import Reader
from poolsite.devnet.actors.power import claim_of
from poolsite.devnet.consensus import power_total
from poolsite.devnet.rpc import params as p
from poolsite.devnet.rpc.dispatch import Method
from poolsite.devnet.rpc.forms import state_get, tipset_get
from poolsite.devnet.rpc.minerjson import info_json, sector_json
from poolsite.devnet.state.power_rows import CLAIMS, Claim
from poolsite.filecoin.address import UNDEF, id_address
from poolsite.filecoin.bitfield import bitfield_from_bytes, bitfield_from_json, bitfield_of, bitfield_to_json
from poolsite.filecoin.deadlines import deadline_to_json
from poolsite.wire.jsonrpc.messages import RpcError
from poolsite.wire.jsonrpc.parameters import Param

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.bitfield import BitField
    from poolsite.filecoin.cids import Cid

Key = tuple["Cid", ...]
BITFIELD: Final = Param("bitfield.BitField", bitfield_from_json)


def reader_get(
    node: Devnet, address: Address, key: Key, *, prefix: str = "failed to load miner actor: "
) -> Reader:
    """Return the miner in the state of a key.  Raises RpcError with lotus' words."""
    state = state_get(node, key)
    actor_id = resolve_existing(state, address)
    actor = None if actor_id is None else actor_get(state, actor_id)
    if actor_id is None or actor is None:
        raise RpcError(f"{prefix}actor not found")
    if actor.kind != KIND_MINER:
        text = prefix.replace("miner actor: ", "miner actor state: ")
        raise RpcError(f"{text}actor code is not miner: {actor.kind}")
    return Reader(state, actor_id, node.network)


def miner_info(node: Devnet, address: Address, key: Key) -> Any:
    return info_json(reader_get(node, address, key).miner)


def miner_power(node: Devnet, address: Address, key: Key) -> Any:
    """Return a miner's claim; zeros, not an error, for whoever has none."""
    state = state_get(node, key)
    actor_id = None if address == UNDEF else resolve(state, address)
    claim = Claim(0, 0) if actor_id is None else claim_of(state, actor_id, node.profile)
    total = power_total(state, node.rules)
    return {
        "MinerPower": {"RawBytePower": str(claim.raw), "QualityAdjPower": str(claim.quality)},
        "TotalPower": {"RawBytePower": str(total.raw), "QualityAdjPower": str(total.quality)},
        "HasMinPower": claim.raw > 0 and claim.raw >= node.network.consensus_miner_min_power,
    }


def list_miners(node: Devnet, key: Key) -> Any:
    return [str(id_address(miner_id)) for miner_id in state_get(node, key).keys(CLAIMS)]


def miner_proving_deadline(node: Devnet, address: Address, key: Key) -> Any:
    """As cron recorded it, moved on if it has elapsed: right after null rounds that skips a period."""
    tipset = tipset_get(node, key)
    reader = reader_get(node, address, key)
    return deadline_to_json(reader.deadline_recorded(tipset.height).next_not_elapsed())


def miner_deadlines(node: Devnet, address: Address, key: Key) -> Any:
    reader = reader_get(node, address, key)
    result = []
    for index in range(node.network.proving.deadlines):
        live = [number for partition in reader.partitions(index) for number in partition.live]
        fee = sum(sector.daily_fee for sector in reader.sectors(live))
        result.append(
            {
                "PostSubmissions": bitfield_to_json(bitfield_of(reader.deadline(index).posted)),
                "DisputableProofCount": len(reader.proofs_of(index)),
                "DailyFee": str(fee),
            }
        )
    return result


def miner_partitions(node: Devnet, address: Address, index: int, key: Key) -> Any:
    reader = reader_get(node, address, key)
    if index >= node.network.proving.deadlines:
        raise RpcError(f"failed to load the deadline: invalid deadline {index}")
    return [
        {
            "AllSectors": bitfield_to_json(bitfield_of(partition.sectors)),
            "FaultySectors": bitfield_to_json(bitfield_of(partition.faults)),
            "RecoveringSectors": bitfield_to_json(bitfield_of(partition.recoveries)),
            "LiveSectors": bitfield_to_json(bitfield_of(partition.live)),
            "ActiveSectors": bitfield_to_json(bitfield_of(partition.active)),
        }
        for partition in reader.partitions(index)
    ]


def _all_numbers(reader: Reader, part: str) -> list[int]:
    return sorted(number for _, partition in reader.all_partitions() for number in getattr(partition, part))


def miner_sectors(node: Devnet, address: Address, numbers: BitField | None, key: Key) -> Any:
    reader = reader_get(node, address, key)
    if numbers is None:
        return [sector_json(sector) for sector in reader.all_sectors()]
    result = []
    for number in numbers.numbers(1 << 20):
        sector = reader.sector(number)
        if sector is None:
            raise RpcError(f"failed to load sectors: can't find sector {number}")
        result.append(sector_json(sector))
    return result


def miner_active_sectors(node: Devnet, address: Address, key: Key) -> Any:
    reader = reader_get(node, address, key)
    return [sector_json(sector) for sector in reader.sectors(_all_numbers(reader, "active"))]


def miner_faults(node: Devnet, address: Address, key: Key) -> Any:
    return bitfield_to_json(bitfield_of(_all_numbers(reader_get(node, address, key), "faults")))


def miner_recoveries(node: Devnet, address: Address, key: Key) -> Any:
    return bitfield_to_json(bitfield_of(_all_numbers(reader_get(node, address, key), "recoveries")))


def miner_sector_count(node: Devnet, address: Address, key: Key) -> Any:
    reader = reader_get(node, address, key, prefix="")
    return {
        "Live": len(_all_numbers(reader, "live")),
        "Active": len(_all_numbers(reader, "active")),
        "Faulty": len(_all_numbers(reader, "faults")),
    }


def miner_available_balance(node: Devnet, address: Address, key: Key) -> Any:
    """Free balance with what has vested by now; negative in debt."""
    height = tipset_get(node, key).height
    reader = reader_get(node, address, key)
    vested = sum(amount for epoch, amount in reader.miner.vesting if epoch < height)
    return str(available(reader.miner, reader.balance) + vested)


def miner_sector_allocated(node: Devnet, address: Address, number: int, key: Key) -> Any:
    return number in bitfield_from_bytes(reader_get(node, address, key).miner.allocated)


def miner_allocated(node: Devnet, address: Address, key: Key) -> Any:
    return bitfield_to_json(bitfield_from_bytes(reader_get(node, address, key).miner.allocated))


def miner_sector_size(node: Devnet, address: Address, key: Key) -> Any:
    return reader_get(node, address, key).miner.sector_size


def miner_worker_address(node: Devnet, address: Address, key: Key) -> Any:
    return str(id_address(reader_get(node, address, key).miner.worker))


METHODS: Final = (
    Method("StateMinerInfo", "read", (p.ADDRESS, p.TIPSET_KEY), miner_info),
    Method("StateMinerPower", "read", (p.ADDRESS, p.TIPSET_KEY), miner_power),
    Method("StateListMiners", "read", (p.TIPSET_KEY,), list_miners),
    Method("StateMinerProvingDeadline", "read", (p.ADDRESS, p.TIPSET_KEY), miner_proving_deadline),
    Method("StateMinerDeadlines", "read", (p.ADDRESS, p.TIPSET_KEY), miner_deadlines),
    Method("StateMinerPartitions", "read", (p.ADDRESS, p.UINT, p.TIPSET_KEY), miner_partitions),
    Method("StateMinerSectors", "read", (p.ADDRESS, p.optional(BITFIELD), p.TIPSET_KEY), miner_sectors),
    Method("StateMinerActiveSectors", "read", (p.ADDRESS, p.TIPSET_KEY), miner_active_sectors),
    Method("StateMinerFaults", "read", (p.ADDRESS, p.TIPSET_KEY), miner_faults),
    Method("StateMinerRecoveries", "read", (p.ADDRESS, p.TIPSET_KEY), miner_recoveries),
    Method("StateMinerSectorCount", "read", (p.ADDRESS, p.TIPSET_KEY), miner_sector_count),
    Method("StateMinerAvailableBalance", "read", (p.ADDRESS, p.TIPSET_KEY), miner_available_balance),
    Method("StateMinerSectorAllocated", "read", (p.ADDRESS, p.UINT, p.TIPSET_KEY), miner_sector_allocated),
    Method("StateMinerAllocated", "read", (p.ADDRESS, p.TIPSET_KEY), miner_allocated),
    Method("StateMinerSectorSize", "read", (p.ADDRESS, p.TIPSET_KEY), miner_sector_size),
    Method("StateMinerWorkerAddress", "read", (p.ADDRESS, p.TIPSET_KEY), miner_worker_address),
)
