"""Filecoin.MinerGetBaseInfo, MinerCreateBlock, SyncSubmitBlock: how any miner makes blocks on this node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.actors.ledger import KIND_MINER, actor_get, key_address, resolve_existing
from poolsite.devnet.executed_tipset import NoTipset
from poolsite.devnet.header_checks import BadBlock
from poolsite.devnet.production import FullBlock, Template, block_create
from poolsite.devnet.rpc import params as p
from poolsite.devnet.rpc.dispatch import Method
from poolsite.devnet.rpc.errors import panic
from poolsite.devnet.rpc.forms import tipset_exact
from poolsite.devnet.rpc.mpool import SIGNED
from poolsite.devnet.state.miner_rows import MINERS, Miner
from poolsite.filecoin.address import id_address
from poolsite.filecoin.block import BeaconEntry, BlockMsg, ElectionProof, PoStProof, Ticket, messages_root
from poolsite.filecoin.cids import cid_to_json
from poolsite.filecoin.codec import from_json, struct_of, to_json
from poolsite.filecoin.kinds import BadField
from poolsite.filecoin.message import signed_message_to_cbor
from poolsite.filecoin.tipset import BadTipset, tipset_new
from poolsite.wire.jsonrpc.messages import RpcError
from poolsite.wire.jsonrpc.parameters import BadParam, Param

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.cids import Cid

Key = tuple["Cid", ...]
MAX_ROUNDS: Final = 20_000
"""Null rounds after which no block can come any more."""
PAUSED: Final = "mining is paused by fault injection: this node accepts no blocks"
NIL = "runtime error: invalid memory address or nil pointer dereference"


def miner_get_base_info(node: Devnet, address: Address, epoch: int, key: Key) -> Any:
    base = tipset_exact(node, key, prefix="failed to load tipset for mining base: ")
    miner_id = _miner_id(node, base.key.cids, address, prefix="failed to load miner actor")
    if epoch > base.height + MAX_ROUNDS:
        raise RpcError(f"failed to get beacon entries: epoch {epoch} is too far from {base.height}")
    entries = None if epoch > base.height else ()
    info = node.base_infos.get(miner_id, epoch, base, entries=entries)
    if info is None:
        return None
    return {
        "MinerPower": str(info.power.quality),
        "NetworkPower": str(info.total.quality),
        "Sectors": [
            {
                "SealProof": sector.seal_proof,
                "SectorNumber": sector.number,
                "SectorKey": cid_to_json(sector.sector_key),
                "SealedCID": cid_to_json(sector.sealed_cid),
            }
            for sector in info.sectors
        ],
        "WorkerKey": str(info.worker),
        "SectorSize": info.sector_size,
        "PrevBeaconEntry": to_json(info.previous),
        "BeaconEntries": [to_json(entry) for entry in info.entries] or None,
        "EligibleForMining": info.is_eligible,
    }


def _miner_id(node: Devnet, key: Key, address: Address, *, prefix: str) -> int:
    state = node.chain.state_after(node.tipset(key).key)
    actor_id = resolve_existing(state, address)
    actor = None if actor_id is None else actor_get(state, actor_id)
    if actor_id is None or actor is None:
        raise RpcError(f"{prefix}: actor not found")
    if actor.kind != KIND_MINER:
        raise RpcError(f"{prefix} state: actor code is not miner: {actor.kind}")
    return actor_id


def _template_read(value: Any) -> tuple[Template, Key]:
    if not isinstance(value, dict):
        raise BadParam("json: cannot unmarshal into Go value of type types.BlockTemplate")
    ticket, proof = value.get("Ticket"), value.get("Eproof")
    template = Template(
        miner=p.ADDRESS.decode(value.get("Miner")),
        ticket=None if ticket is None else from_json(Ticket, ticket),
        election_proof=None if proof is None else from_json(ElectionProof, proof),
        beacon_entries=tuple(from_json(BeaconEntry, entry) for entry in value.get("BeaconValues") or ()),
        win_post_proof=tuple(from_json(PoStProof, entry) for entry in value.get("WinningPoStProof") or ()),
        messages=[SIGNED.decode(entry) for entry in value.get("Messages") or ()],
        epoch=p.EPOCH.decode(value.get("Epoch")),
        timestamp=p.UINT.decode(value.get("Timestamp")),
    )
    return template, p.TIPSET_KEY.decode(value.get("Parents"))


TEMPLATE: Final = Param("*types.BlockTemplate", _template_read)
BLOCK: Final = Param("*types.BlockMsg", struct_of(BlockMsg).from_json)


def miner_create_block(node: Devnet, request: tuple[Template, Key] | None) -> Any:
    """Fill in a block, and sign it if the node's wallet has the worker's key.

    Where it has not, the block comes back unsigned, for its miner to sign, as of venus v1.20.
    """
    if request is None:
        raise panic("Filecoin.MinerCreateBlock", NIL)
    template, key = request
    base = tipset_exact(node, key, prefix="failed to load parent tipset: ")
    prefix = "failed to get miner worker: (get sset) failed to load miner actor"
    miner_id = _miner_id(node, base.key.cids, template.miner, prefix=prefix)
    state = node.base_infos.lookback_state(base, template.epoch)
    miner: Miner | None = state.get(MINERS, miner_id)
    worker = None if miner is None else key_address(state, miner.worker)
    if worker is None:
        raise RpcError(f"failed to get miner worker: no worker of {id_address(miner_id)}")
    signing = node.wallet.key(worker) if node.wallet.has(worker) else None
    full = block_create(template, node.chain.link(base.key), signing)
    messages = [(signed.cid.data, signed_message_to_cbor(signed)) for signed in (*full.bls, *full.secpk)]
    node.store.messages_put(messages)
    return to_json(full.block)


def sync_submit_block(node: Devnet, block: BlockMsg | None) -> Any:
    if block is None:
        raise panic("Filecoin.SyncSubmitBlock", NIL)
    if node.faults.mining == "paused":
        raise RpcError(PAUSED)
    if not block.header.parents:
        raise RpcError("no parents in block")
    if node.store.block(block.header.parents[0].data) is None:
        raise RpcError(f"loading parent block: ipld: could not find {block.header.parents[0]}")
    full = FullBlock(
        block,
        tuple(_message(node, cid, "bls") for cid in block.bls_messages),
        tuple(_message(node, cid, "secpk") for cid in block.secpk_messages),
    )
    _check_assembly(block)
    witness = node.slashing_witness(block.header)
    if witness is not None:
        raise RpcError(f"<!!> SLASH FILTER DETECTED FAULT due to witness {witness}")
    try:
        node.block_submit(full)
    except (BadBlock, NoTipset) as error:
        raise RpcError(
            "sync to submitted block failed: collectChain failed: collectChain syncMessages: "
            f"message processing failed: validating block {block.cid}: {error}"
        ) from None


def _message(node: Devnet, cid: Cid, kind: str) -> Any:
    signed = node.chain.message(cid)
    if signed is None:
        raise RpcError(
            f"failed to load {kind} messages: failed to get message ({cid}): ipld: could not find {cid}"
        )
    return signed


def _check_assembly(block: BlockMsg) -> None:
    root = messages_root(block.bls_messages, block.secpk_messages)
    if root != block.header.messages:
        raise RpcError(
            "provided messages did not match block: messages in full block did not match msgmeta root in "
            f"header ({root} != {block.header.messages})"
        )
    prefix = "somehow failed to make a tipset out of a single block: "
    if block.header.ticket is None:
        raise RpcError(f"{prefix}block {block.cid} has nil Ticket")
    try:
        tipset_new([block.header])
    except (BadTipset, BadField) as error:
        raise RpcError(prefix + str(error)) from None


METHODS: Final = (
    Method("MinerGetBaseInfo", "read", (p.ADDRESS, p.EPOCH, p.TIPSET_KEY), miner_get_base_info, slow=True),
    Method("MinerCreateBlock", "write", (p.optional(TEMPLATE),), miner_create_block, slow=True),
    Method("SyncSubmitBlock", "write", (p.optional(BLOCK),), sync_submit_block, slow=True),
)
