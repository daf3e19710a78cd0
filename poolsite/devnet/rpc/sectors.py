"""Filecoin.StateSector*: sectors in the state that a tipset builds on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.actors.miner.partitions import queue_epochs
from poolsite.devnet.rpc import params as p
from poolsite.devnet.rpc.dispatch import Method
from poolsite.devnet.rpc.minerjson import precommit_json, sector_json
from poolsite.devnet.rpc.miners import Key, reader_get
from poolsite.filecoin.cids import cid_to_json, commd_cid
from poolsite.filecoin.sector import BadProofType, seal_proof
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.wire.jsonrpc.messages import RpcError

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet
    from poolsite.filecoin.address import Address


def sector_get_info(node: Devnet, address: Address, number: int, key: Key) -> Any:
    sector = reader_get(node, address, key).sector(number)
    return None if sector is None else sector_json(sector)


def sector_precommit_info(node: Devnet, address: Address, number: int, key: Key) -> Any:
    row = reader_get(node, address, key).precommit(number)
    return None if row is None else precommit_json(row)


def sector_precommit_info_v0(node: Devnet, address: Address, number: int, key: Key) -> Any:
    info = sector_precommit_info(node, address, number, key)
    if info is None:
        raise RpcError("precommit info does not exist")
    return info


def sector_expiration(node: Devnet, address: Address, number: int, key: Key) -> Any:
    reader = reader_get(node, address, key)
    for _, partition in reader.all_partitions():
        if number in partition.sectors and number not in partition.terminated:
            on_time = queue_epochs(partition.expirations).get(number, 0)
            early = queue_epochs(partition.early).get(number, 0)
            return {"OnTime": on_time, "Early": early}
    raise RpcError(f"failed to find sector {number}")


def sector_partition(node: Devnet, address: Address, number: int, key: Key) -> Any:
    reader = reader_get(node, address, key)
    for (deadline, index), partition in reader.all_partitions():
        if number in partition.sectors:
            return {"Deadline": deadline, "Partition": index}
    raise RpcError(f"sector {number} not due at any deadline")


def compute_data_cid(node: Devnet, address: Address, proof: int, deals: list[int], key: Key) -> Any:
    """Null without deals, as lotus answers; the devnet has no deals in sectors."""
    reader_get(node, address, key)
    if not deals:
        return None
    try:
        size = seal_proof(proof).sector_size
    except BadProofType as error:
        raise RpcError(str(error)) from None
    return cid_to_json(commd_cid(sha254_zero(size)))


METHODS: Final = (
    Method("StateSectorGetInfo", "read", (p.ADDRESS, p.UINT, p.TIPSET_KEY), sector_get_info),
    Method("StateSectorExpiration", "read", (p.ADDRESS, p.UINT, p.TIPSET_KEY), sector_expiration),
    Method("StateSectorPartition", "read", (p.ADDRESS, p.UINT, p.TIPSET_KEY), sector_partition),
    Method(
        "StateComputeDataCID",
        "read",
        (p.ADDRESS, p.INT, p.list_param(p.UINT), p.TIPSET_KEY),
        compute_data_cid,
    ),
)
METHODS_V1: Final = (
    Method("StateSectorPreCommitInfo", "read", (p.ADDRESS, p.UINT, p.TIPSET_KEY), sector_precommit_info),
)
METHODS_V0: Final = (
    Method("StateSectorPreCommitInfo", "read", (p.ADDRESS, p.UINT, p.TIPSET_KEY), sector_precommit_info_v0),
)
