"""Filecoin.StateMiner* about what miners must deposit and pledge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.actors.economy import economy_of
from poolsite.devnet.rpc import params as p
from poolsite.devnet.rpc.dispatch import Method
from poolsite.devnet.rpc.forms import state_get, tipset_get
from poolsite.devnet.rpc.miners import Key, reader_get
from poolsite.filecoin.actors.miner_sectors import SectorPreCommitInfo
from poolsite.filecoin.cids import cid_to_json, commr_cid
from poolsite.filecoin.codec import struct_of
from poolsite.filecoin.pledge import with_buffer
from poolsite.filecoin.power import quality_power, quality_power_max
from poolsite.filecoin.sector import BadProofType, seal_proof
from poolsite.wire.jsonrpc.messages import RpcError
from poolsite.wire.jsonrpc.parameters import Param

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet
    from poolsite.filecoin.address import Address
    from poolsite.wire.jsonrpc.messages import Json


def _precommit(value: Json) -> SectorPreCommitInfo:
    """Read a pre-commit; Go programs that ask only for a price leave its replica null."""
    if isinstance(value, dict) and value.get("SealedCID") is None:
        value = {**value, "SealedCID": cid_to_json(commr_cid(bytes(32)))}
    return struct_of(SectorPreCommitInfo).from_json(value)


PRECOMMIT: Final = Param("miner.SectorPreCommitInfo", _precommit)


def miner_precommit_deposit(node: Devnet, address: Address, info: SectorPreCommitInfo, key: Key) -> Any:
    state = state_get(node, key)
    reader_get(node, address, key)
    deposit = economy_of(state).precommit_deposit(quality_power_max(_size(info)))
    return str(with_buffer(deposit))


def miner_pledge(node: Devnet, _address: Address, info: SectorPreCommitInfo, key: Key) -> Any:
    return str(with_buffer(economy_of(state_get(node, key)).initial_pledge(_size(info))))


def _size(info: SectorPreCommitInfo) -> int:
    try:
        return seal_proof(info.seal_proof).sector_size
    except BadProofType as error:
        raise RpcError(f"failed to get resolve size: {error}") from None


def miner_pledge_for_sector(node: Devnet, duration: int, size: int, verified: int, key: Key) -> Any:
    if duration <= 0 or size <= 0:
        raise RpcError("sector duration and size must be positive")
    quality = quality_power(size, duration=duration, verified_weight=verified * duration)
    return str(with_buffer(economy_of(state_get(node, key)).initial_pledge(quality)))


def miner_creation_deposit(node: Devnet, key: Key) -> Any:
    tipset_get(node, key)
    return str(node.network.creation_deposit_read)


METHODS: Final = (
    Method(
        "StateMinerPreCommitDepositForPower",
        "read",
        (p.ADDRESS, PRECOMMIT, p.TIPSET_KEY),
        miner_precommit_deposit,
    ),
    Method("StateMinerInitialPledgeCollateral", "read", (p.ADDRESS, PRECOMMIT, p.TIPSET_KEY), miner_pledge),
    Method(
        "StateMinerInitialPledgeForSector",
        "read",
        (p.EPOCH, p.UINT, p.UINT, p.TIPSET_KEY),
        miner_pledge_for_sector,
    ),
    Method("StateMinerCreationDeposit", "read", (p.TIPSET_KEY,), miner_creation_deposit),
)
