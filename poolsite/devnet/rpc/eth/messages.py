"""A Filecoin message in the form of an Ethereum transaction, and its receipt.

Messages of delegated senders are Ethereum transactions; all others are shown as calls of the native method
selector with number, codec and params.  Source: lotus node/impl/eth/utils.go; ethtypes.EthTx, EthTxReceipt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.actors.ledger import actor_get, resolve
from poolsite.devnet.rpc.invocation import CBOR_CODEC
from poolsite.filecoin.address import EAM_ACTOR, eth_masked_id
from poolsite.filecoin.cbor import BadCbor, bytes_read
from poolsite.filecoin.ethereum import METHOD_CREATE_EXTERNAL, METHOD_INVOKE_EVM, eth_name, transaction_of
from poolsite.filecoin.ethereum_transaction import EIP1559
from poolsite.filecoin.gas import gas_outputs
from poolsite.filecoin.sigtypes import SIG_DELEGATED
from poolsite.wire.jsonrpc.messages import RpcError

if TYPE_CHECKING:
    from poolsite.devnet.node import Devnet
    from poolsite.devnet.state.tables import State
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.cids import Cid
    from poolsite.filecoin.ethereum_transaction import Transaction
    from poolsite.filecoin.message import Message, Receipt, SignedMessage

ZERO_HASH: Final = "0x" + "00" * 32
NATIVE_SELECTOR: Final = bytes.fromhex("868e10c4")
"""First bytes of the input of a message that is no contract's call."""
WORD_BYTES: Final = 32
UNKNOWN_ADDRESS: Final = "0xff" + "00" * 11 + "ff" * 8
"""Stands for a receiver that has no actor: the message failed."""
EMPTY_BLOOM: Final = "0x" + "00" * 256


def hash_text(cid: Cid) -> str:
    """Return the hash that stands for a CID."""
    return "0x" + cid.digest.hex()


def name_text(state: State, address: Address) -> str | None:
    """Return an address as Ethereum tools do: its f410 name, else its actor's number; None without one."""
    name = eth_name(address) if address.eth_address is not None else None
    if name is not None:
        return "0x" + name.hex()
    actor_id = resolve(state, address)
    if actor_id is None:
        return None
    actor = actor_get(state, actor_id)
    delegated = None if actor is None or actor.delegated is None else eth_name(actor.delegated)
    return "0x" + (delegated or eth_masked_id(actor_id)).hex()


def transaction_hash_text(node: Devnet, signed: SignedMessage) -> str:
    """Return a message's name as a transaction."""
    if signed.signature.type == SIG_DELEGATED:
        chain_id = node.network.eth_chain_id
        return "0x" + transaction_of(signed.message, signed.signature, chain_id=chain_id).hash.hex()
    return hash_text(signed.cid)


def transaction_json(node: Devnet, signed: SignedMessage, state: State) -> dict[str, Any]:
    """EthTx without its place on chain."""
    if signed.signature.type == SIG_DELEGATED:
        return ethereum_json(signed, chain_id=node.network.eth_chain_id)
    message = signed.message
    sender = name_text(state, message.from_)
    if sender is None:
        raise RpcError(
            f"failed to lookup sender address {message.from_} when converting a native message to an eth "
            f"txn: resolve address {message.from_}: actor not found"
        )
    to, data = _called(state, message)
    return {
        "chainId": hex(node.network.eth_chain_id),
        "nonce": hex(message.nonce),
        "hash": hash_text(signed.cid),
        "blockHash": None,
        "blockNumber": None,
        "transactionIndex": None,
        "from": sender,
        "to": to,
        "value": hex(message.value),
        "type": hex(EIP1559),
        "input": "0x" + data.hex(),
        "gas": hex(message.gas_limit),
        "maxFeePerGas": hex(message.gas_fee_cap),
        "maxPriorityFeePerGas": hex(message.gas_premium),
        "accessList": [],
        "v": "0x0",
        "r": "0x0",
        "s": "0x0",
    }


def ethereum_json(signed: SignedMessage, *, chain_id: int) -> dict[str, Any]:
    """EthTx of a delegated sender's message, which needs no state."""
    transaction = transaction_of(signed.message, signed.signature, chain_id=chain_id)
    sender = eth_name(signed.message.from_)
    assert sender is not None, "only f410 addresses sign so"
    return {
        "chainId": hex(transaction.chain_id),
        "nonce": hex(transaction.nonce),
        "hash": "0x" + transaction.hash.hex(),
        "blockHash": None,
        "blockNumber": None,
        "transactionIndex": None,
        "from": "0x" + sender.hex(),
        "to": "0x" + transaction.to.hex() if transaction.to else None,
        "value": hex(transaction.value),
        "type": hex(transaction.type),
        "input": "0x" + transaction.data.hex(),
        "gas": hex(transaction.gas_limit),
        **_prices(transaction),
        "accessList": None,
        "v": hex(transaction.v),
        "r": hex(transaction.r),
        "s": hex(transaction.s),
    }


def _prices(transaction: Transaction) -> dict[str, str]:
    if transaction.type != EIP1559:
        return {"gasPrice": hex(transaction.fee_cap)}
    return {
        "maxFeePerGas": hex(transaction.fee_cap),
        "maxPriorityFeePerGas": hex(transaction.premium),
    }


def _called(state: State, message: Message) -> tuple[str | None, bytes]:
    """Receiver and input of a native message: of a contract's call or deployment, if it is one."""
    to = name_text(state, message.to) or UNKNOWN_ADDRESS
    is_deployment = message.to == EAM_ACTOR and message.method == METHOD_CREATE_EXTERNAL
    if message.method == METHOD_INVOKE_EVM or is_deployment:
        try:
            data = bytes_read(message.params, 0)[0] if message.params else b""
        except BadCbor:
            return to, _native_input(message)
        return None if is_deployment else to, data
    return to, _native_input(message)


def _native_input(message: Message) -> bytes:
    """Return method, codec and params as Solidity would pass them."""
    params = message.params
    numbers = (message.method, CBOR_CODEC if params else 0, 3 * WORD_BYTES, len(params))
    head = b"".join(number.to_bytes(WORD_BYTES, "big") for number in numbers)
    return NATIVE_SELECTOR + head + params + bytes(-len(params) % WORD_BYTES)


def receipt_json(transaction: dict[str, Any], receipt: Receipt, *, base_fee: int) -> dict[str, Any]:
    """EthTxReceipt of a transaction that has its place on chain."""
    cap = int(transaction.get("maxFeePerGas") or transaction["gasPrice"], 16)
    premium = int(transaction.get("maxPriorityFeePerGas") or transaction["gasPrice"], 16)
    outputs = gas_outputs(
        gas_used=receipt.gas_used,
        gas_limit=int(transaction["gas"], 16),
        base_fee=base_fee,
        fee_cap=cap,
        premium=premium,
    )
    spent = outputs.base_fee_burn + outputs.miner_tip + outputs.over_estimation_burn
    return {
        "transactionHash": transaction["hash"],
        "transactionIndex": transaction["transactionIndex"],
        "blockHash": transaction["blockHash"],
        "blockNumber": transaction["blockNumber"],
        "from": transaction["from"],
        "to": transaction["to"],
        "root": ZERO_HASH,
        "status": "0x0" if receipt.exit_code else "0x1",
        "contractAddress": None,
        "cumulativeGasUsed": "0x0",
        "gasUsed": hex(receipt.gas_used),
        "effectiveGasPrice": hex(spent // receipt.gas_used if receipt.gas_used else 0),
        "logsBloom": EMPTY_BLOOM,
        "logs": [],
        "type": transaction["type"],
    }
