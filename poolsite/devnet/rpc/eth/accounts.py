"""Accounts by their Ethereum names: balance, nonce, code, and the names themselves.

There are no contracts: nobody has code.  Source: lotus node/impl/eth/lookup.go, filecoin.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.actors.ledger import actor_get, resolve
from poolsite.devnet.mempool import MessageRejected
from poolsite.devnet.rpc import params as p
from poolsite.devnet.rpc.eth.blocks import by_number, named, state_named
from poolsite.filecoin.address import DELEGATED, Address, BadAddress, eth_masked_id
from poolsite.filecoin.ethereum import eth_name
from poolsite.wire.jsonrpc.messages import RpcError
from poolsite.wire.jsonrpc.parameters import BadParam

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet
    from poolsite.devnet.rpc.eth.readers import BlockName
    from poolsite.devnet.state.rows import Actor
    from poolsite.devnet.state.tables import State

MAX_PARAMS: Final = 2


def _actor(state: State, address: Address) -> Actor | None:
    actor_id = resolve(state, address)
    return None if actor_id is None else actor_get(state, actor_id)


def balance(node: Devnet, address: Address, block: BlockName) -> Any:
    """0 for whoever is not there."""
    actor = _actor(state_named(node, block), address)
    return hex(0 if actor is None else actor.balance)


def transaction_count(node: Devnet, address: Address, block: BlockName) -> Any:
    """Return the next nonce; what is pending counts if the block is `pending`."""
    if block.tag == "pending":
        try:
            return hex(node.mempool.next_nonce(address))
        except MessageRejected as error:
            raise RpcError(f"failed to get nonce from mpool: {error}") from None
    actor = _actor(state_named(node, block), address)
    return hex(0 if actor is None else actor.nonce)


def code(node: Devnet, _address: Address, block: BlockName) -> Any:
    """None: there are no contracts."""
    if named(node, block).height == 0:
        raise RpcError("block param must not specify genesis block")
    return "0x"


def to_filecoin(_node: Devnet, address: Address) -> Any:
    return str(address)


def to_eth(node: Devnet, params: list[Any]) -> Any:
    """f0 and f410 as they are, everything else by the actor's number at a block, `finalized` by default."""
    if not 1 <= len(params) <= MAX_PARAMS:
        raise RpcError(f"decoding params: expected 1 or 2 params, got {len(params)}")
    try:
        tag = "finalized" if len(params) == 1 or params[1] is None else p.TEXT.decode(params[1])
        address: Address = p.ADDRESS.decode(params[0])
    except (BadParam, BadAddress) as error:
        raise RpcError(f"decoding params: {error}") from None
    name = eth_name(address)
    if name is not None:
        return "0x" + name.hex()
    if address.is_undef or address.protocol == DELEGATED:
        raise RpcError(f"invalid filecoin address protocol: {address}")
    state = node.chain.state_before(by_number(node, tag, is_strict=False))
    actor_id = resolve(state, address)
    if actor_id is None:
        raise RpcError(
            f"failed to lookup ID address for given Filecoin address {address} (ensure that the address has "
            "been instantiated on-chain and sufficient epochs have passed since instantiation to confirm to "
            f"the given 'blkParam': \"{tag}\"): resolution lookup failed ({address}): resolve address "
            f"{address}: actor not found"
        )
    return "0x" + eth_masked_id(actor_id).hex()
