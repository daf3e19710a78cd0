"""The eth_* methods that wallets and clients of Filecoin call: network, accounts, fees, addresses.

Contracts, blocks in Ethereum's form, filters and traces are not served: the devnet runs no contracts.
Source: lotus node/impl/eth, chain/types/ethtypes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.actors.ledger import actor_get, resolve
from poolsite.devnet.mempool import MessageRejected
from poolsite.devnet.rpc import params as p
from poolsite.devnet.rpc.dispatch import Method
from poolsite.devnet.rpc.errors import ACTOR_NOT_FOUND, RpcError
from poolsite.filecoin.address import (
    ETH_ADDRESS_LEN,
    Address,
    BadAddress,
    eth_address,
    eth_masked_id,
)

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet
    from poolsite.devnet.state.tables import State

NEWEST: Final = ("latest", "pending", "safe", "finalized")
PREMIUM_BLOCKS: Final = 1
"""Within so many blocks a message of the usual premium lands."""
PROTOCOL_VERSION: Final = "0x41"


def _eth_name(value: Any) -> Address:
    """Read `0x` and 40 hex digits."""
    if not isinstance(value, str) or not value.startswith("0x"):
        raise p.BadParam("cannot parse hex value: missing prefix")
    try:
        return eth_address(bytes.fromhex(value[2:]))
    except (ValueError, BadAddress):
        raise p.BadParam(f"cannot parse hex value: {value!r}") from None


ETH_ADDRESS: Final = p.decoded("ethtypes.EthAddress", _eth_name)


def chain_id(node: Devnet) -> Any:
    return hex(node.network.eth_chain_id)


def block_number(node: Devnet) -> Any:
    return hex(max(node.head.height - 1, 0))


def net_version(node: Devnet) -> Any:
    return str(node.network.eth_chain_id)


def protocol_version(_node: Devnet) -> Any:
    return PROTOCOL_VERSION


def accounts(_node: Devnet) -> Any:
    """None: nodes hold no Ethereum keys."""
    return []


def syncing(_node: Devnet) -> Any:
    return False


def max_priority_fee(node: Devnet) -> Any:
    return hex(node.estimator.premium(PREMIUM_BLOCKS, node.head.tipset))


def gas_price(node: Devnet) -> Any:
    """What a message pays per gas at least: the base fee and a usual premium."""
    return hex(node.head.tipset.parent_base_fee + node.estimator.premium(PREMIUM_BLOCKS, node.head.tipset))


def _state_at(node: Devnet, block: Any) -> State:
    """The state after a block that is named as Ethereum tools do.  Raises RpcError."""
    if isinstance(block, dict):
        block = block.get("blockNumber")
    if block in NEWEST:
        return node.chain.state_after(node.head.key)
    if block == "earliest":
        raise RpcError('block param "earliest" is not supported')
    try:
        height = int(block, 16) if isinstance(block, str) and block.startswith("0x") else -1
    except ValueError:
        height = -1
    if height < 0:
        raise RpcError(f"cannot parse block number: {block!r}")
    if height > node.head.height:
        raise RpcError("requested a future epoch (beyond 'latest')")
    return node.chain.state_after(node.chain.at_height(height, node.head.tipset).key)


def balance(node: Devnet, address: Address, block: Any) -> Any:
    """0 for whoever is not there."""
    state = _state_at(node, block)
    actor_id = resolve(state, address)
    actor = None if actor_id is None else actor_get(state, actor_id)
    return hex(0 if actor is None else actor.balance)


def transaction_count(node: Devnet, address: Address, block: Any) -> Any:
    """The next nonce; what is pending counts if the block is `pending`."""
    if block == "pending":
        try:
            return hex(node.mempool.next_nonce(address))
        except MessageRejected:
            return hex(0)
    state = _state_at(node, block)
    actor_id = resolve(state, address)
    actor = None if actor_id is None else actor_get(state, actor_id)
    return hex(0 if actor is None else actor.nonce)


def code(node: Devnet, _address: Address, block: Any) -> Any:
    """None: there are no contracts."""
    _state_at(node, block)
    return "0x"


def to_filecoin(_node: Devnet, address: Address) -> Any:
    return str(address)


def to_eth(node: Devnet, address: Address) -> Any:
    """f410 as it is, everything else by the actor's number."""
    own = address.eth_address
    if own is not None:
        return "0x" + own.hex()
    actor_id = resolve(node.chain.state_after(node.head.key), address)
    if actor_id is None:
        raise RpcError("actor not found", code=ACTOR_NOT_FOUND)
    name = eth_masked_id(actor_id)
    assert len(name) == ETH_ADDRESS_LEN
    return "0x" + name.hex()


def long_name(name: str) -> str:
    """`eth_chainId` is also `Filecoin.EthChainId`."""
    head, _, tail = name.partition("_")
    return head.capitalize() + tail[:1].upper() + tail[1:]


METHODS: Final = (
    Method("eth_chainId", "read", (), chain_id),
    Method("eth_blockNumber", "read", (), block_number),
    Method("net_version", "read", (), net_version),
    Method("eth_protocolVersion", "read", (), protocol_version),
    Method("eth_accounts", "read", (), accounts),
    Method("eth_syncing", "read", (), syncing),
    Method("eth_gasPrice", "read", (), gas_price),
    Method("eth_maxPriorityFeePerGas", "read", (), max_priority_fee),
    Method("eth_getBalance", "read", (ETH_ADDRESS, p.JSON), balance),
    Method("eth_getTransactionCount", "read", (ETH_ADDRESS, p.JSON), transaction_count),
    Method("eth_getCode", "read", (ETH_ADDRESS, p.JSON), code),
)
FILECOIN: Final = (
    Method("EthAddressToFilecoinAddress", "read", (ETH_ADDRESS,), to_filecoin),
    Method("FilecoinAddressToEthAddress", "read", (p.ADDRESS,), to_eth),
)
"""Those that have Filecoin's names only."""
