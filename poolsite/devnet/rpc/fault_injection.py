"""Devnet.*: the admin methods that only this chain has: time, forks, faults, foreign messages."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.actors.fault_injection import DRAIN_METHOD, FAIL_METHOD, DrainParams, FailParams
from poolsite.devnet.estimation import ExecutionFailed, Spec, UnknownSender
from poolsite.devnet.executed_tipset import NoTipset
from poolsite.devnet.faults import BadFault
from poolsite.devnet.forks import NoReorg, head_back, reorg
from poolsite.devnet.genesis_bundle import bundle_to_json
from poolsite.devnet.mempool import MessageRejected
from poolsite.devnet.rpc import params as p
from poolsite.devnet.rpc.dispatch import Method
from poolsite.devnet.rpc.errors import not_stored
from poolsite.devnet.wallet import NoKey
from poolsite.filecoin.address import SYSTEM_ACTOR
from poolsite.filecoin.amounts import FIL, AttoFil
from poolsite.filecoin.cids import cid_to_json
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.message import Message, signed_message_to_cbor
from poolsite.filecoin.signing import message_sign
from poolsite.filecoin.tipset import tipset_to_json
from poolsite.wire.jsonrpc.messages import RpcError

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.cids import Cid

MAX_EPOCHS: Final = 1_000_000
"""Most epochs that one call lets pass."""


def mine(node: Devnet, count: int) -> Any:
    """Make so many tipsets now; the answer is the head's height."""
    return node.mine(min(count, MAX_EPOCHS)).height


def advance(node: Devnet, epochs: int) -> Any:
    """Advance by at least so many epochs now."""
    return node.advance(min(epochs, MAX_EPOCHS)).height


def set_time(node: Devnet, seconds: int) -> Any:
    """Set the chain's clock on to a UNIX time, and make the block that is due then; the answer is its height.

    The chain does not make up for the time between: the next height has the later timestamp.
    """
    if seconds > node.clock.now() + MAX_EPOCHS * node.network.epoch_s:
        raise RpcError("the time is too far ahead")
    if seconds < node.head.tipset.min_timestamp:
        raise RpcError("the chain's time cannot go backwards")
    node.clock.not_before(seconds)
    return node.mine(1).height


def null_rounds(node: Devnet, epochs: int) -> Any:
    """Make the coming epochs null rounds."""
    node.faults.settings.null_left += epochs


def faults(node: Devnet) -> Any:
    """Return all faults with their values."""
    return node.faults.to_json()


def set_faults(node: Devnet, changes: Any) -> Any:
    """Set some faults; the answer is all of them."""
    try:
        node.faults.set_json(changes)
    except BadFault as error:
        raise RpcError(str(error)) from None
    return node.faults.to_json()


def reset_faults(node: Devnet) -> Any:
    """Turn all faults off."""
    node.faults.reset()
    return node.faults.to_json()


def make_reorg(node: Devnet, depth: int, nulls: int, with_messages: bool) -> Any:
    """Replace the newest tipsets by a heavier branch; the answer is the new head."""
    try:
        return tipset_to_json(reorg(node, depth, nulls=nulls, with_messages=with_messages))
    except NoReorg as error:
        raise RpcError(str(error)) from None


def set_head_back(node: Devnet, depth: int) -> Any:
    """Set the head back by so many tipsets."""
    try:
        return tipset_to_json(head_back(node, depth))
    except NoReorg as error:
        raise RpcError(str(error)) from None


def drop_sockets(node: Devnet) -> Any:
    """Break all WebSockets; the answer is how many."""
    return node.faults.drop_connections()


def foreign_message(node: Devnet, sender: Address, count: int) -> Any:
    """Send from an address whose key the node's wallet has, as another program with the key would.

    The undefined address stands for the built-in miner's owner.  The answer is the messages' CIDs.
    """
    address = node.wallet.default if sender.is_undef else sender
    try:
        key = node.wallet.key(address)
        cids = []
        for _ in range(count):
            message = Message(to=node.wallet.default, from_=address, value=AttoFil(1))
            filled = node.estimator.message_gas(message, Spec(), node.head.tipset)
            filled = replace(filled, nonce=node.mempool.next_nonce(address))
            signed = message_sign(key, filled, chain_id=node.network.eth_chain_id)
            node.mempool.push(signed)
            cids.append(cid_to_json(signed.cid))
    except (NoKey, MessageRejected, UnknownSender, ExecutionFailed) as error:
        raise RpcError(str(error)) from None
    return cids


def fail_next(node: Devnet, method: int, code: int, count: int) -> Any:
    """Make the coming messages that call a method land with an exit code; the answer is a message's CID.

    It holds on chain, for every node, from the execution of that message on.
    """
    return _owner_send(node, FAIL_METHOD, to_cbor(FailParams(method, code, count)))


def drain(node: Devnet, address: Address, remaining_fil: int) -> Any:
    """Reduce an actor's balance to at most so many FIL; the answer is the CID of the message that does it."""
    return _owner_send(node, DRAIN_METHOD, to_cbor(DrainParams(address, remaining_fil * FIL)))


def _owner_send(node: Devnet, method: int, params: bytes) -> Any:
    """Send to the system actor as the built-in miner's owner.  Raises RpcError with the actor's refusal."""
    owner = node.wallet.default
    message = Message(to=SYSTEM_ACTOR, from_=owner, method=method, params=params)
    try:
        filled = node.estimator.message_gas(message, Spec(), node.head.tipset)
        filled = replace(filled, nonce=node.mempool.next_nonce(owner))
        signed = message_sign(node.wallet.key(owner), filled, chain_id=node.network.eth_chain_id)
        node.mempool.push(signed)
    except (NoKey, MessageRejected, UnknownSender, ExecutionFailed) as error:
        raise RpcError(str(error)) from None
    return cid_to_json(signed.cid)


def info(node: Devnet) -> Any:
    """Return what shows that this node is a devnet."""
    return {
        "Network": node.network.name,
        "Height": node.head.height,
        "NullRounds": node.nulls,
        "PendingMessages": len(node.mempool.pending()),
        "Faults": node.faults.to_json(),
    }


def genesis_bundle(node: Devnet) -> Any:
    """Return what a second node needs to follow this chain."""
    return bundle_to_json(node.genesis_bundle())


def block_messages(node: Devnet, cid: Cid) -> Any:
    """Return a block's messages with all signatures (BLS ones too), in hex: what gossip carries elsewhere."""
    try:
        bls, secpk = node.chain.block_messages(cid)
    except NoTipset:
        raise not_stored(cid) from None
    return [[signed_message_to_cbor(signed).hex() for signed in part] for part in (bls, secpk)]


METHODS: Final = (
    Method("Info", "read", (), info),
    Method("GenesisBundle", "admin", (), genesis_bundle),
    Method("BlockMessages", "read", (p.CID,), block_messages),
    Method("Mine", "admin", (p.UINT,), mine, slow=True),
    Method("Advance", "admin", (p.UINT,), advance, slow=True),
    Method("SetTime", "admin", (p.UINT,), set_time, slow=True),
    Method("NullRounds", "admin", (p.UINT,), null_rounds),
    Method("Faults", "admin", (), faults),
    Method("SetFaults", "admin", (p.JSON,), set_faults),
    Method("ResetFaults", "admin", (), reset_faults),
    Method("Reorg", "admin", (p.UINT, p.UINT, p.BOOL), make_reorg, slow=True),
    Method("SetHeadBack", "admin", (p.UINT,), set_head_back, slow=True),
    Method("DropSockets", "admin", (), drop_sockets),
    Method("FailNext", "admin", (p.UINT, p.UINT, p.UINT), fail_next, slow=True),
    Method("Drain", "admin", (p.ADDRESS, p.UINT), drain, slow=True),
    Method("ForeignMessage", "admin", (p.ADDRESS, p.UINT), foreign_message, slow=True),
)
