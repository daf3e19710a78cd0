"""Ethereum transactions: taken, mined, found again; and what is refused."""

from __future__ import annotations

import pytest

from poolsite.devnet.rpc.eth.messages import ethereum_json
from poolsite.devnet.rpc.eth.transactions import message_cid
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.ethereum import transaction_to_message
from poolsite.filecoin.ethereum_transaction import EIP1559, LEGACY
from poolsite.filecoin.message import signed_message_from_cbor
from tests.unit.devnet.eth.conftest import ETH, FRIEND, name_of, transaction
from tests.unit.devnet.people import OWNER, WORKER, chain, send, signed
from tests.unit.filecoin.golden.files import load


@pytest.mark.parametrize(
    ("kind", "is_protected"),
    [(EIP1559, True), (LEGACY, True), (LEGACY, False)],
    ids=["1559", "155", "homestead"],
)
async def test_a_raw_transaction_is_mined_and_has_a_receipt(node, get, kind, is_protected):
    network = node.network.eth_chain_id if is_protected else 0
    sent = transaction(node, ETH, type=kind, chain_id=network, value=3 * FIL)
    raw = "0x" + sent.signed_bytes.hex()

    name = await get("eth_sendRawTransaction", raw)

    assert name == "0x" + sent.hash.hex()
    pending = await get("eth_getTransactionByHash", name)
    assert (pending["hash"], pending["blockHash"], pending["from"]) == (name, None, name_of(ETH))
    assert await get("eth_getTransactionReceipt", name) is None
    node.mine(2)
    receipt = await get("eth_getTransactionReceipt", name)
    assert (receipt["status"], receipt["type"], receipt["logs"]) == ("0x1", hex(kind), [])
    assert (receipt["from"], receipt["to"]) == (name_of(ETH), name_of(FRIEND))
    mined = await get("eth_getTransactionByHash", name)
    assert mined["blockHash"] == receipt["blockHash"]
    assert mined["nonce"] == "0x0"
    assert ("gasPrice" in mined) == (kind == LEGACY)
    assert mined["chainId"] == hex(network)
    assert await get("eth_getBalance", name_of(FRIEND), "latest") == hex(3 * FIL)
    assert await get("eth_getTransactionCount", name_of(ETH), "latest") == "0x1"
    block = await get("eth_getBlockByHash", receipt["blockHash"], False)
    assert block["transactions"] == [name]
    paid = int(receipt["effectiveGasPrice"], 16)
    assert node.chain.genesis.tipset.parent_base_fee <= paid * 2


async def test_the_first_message_makes_an_ethereum_account(node, get):
    await get("eth_sendRawTransaction", "0x" + transaction(node, ETH).signed_bytes.hex())
    node.mine(2)

    state = node.chain.state_after(node.head.key)
    actor_id = state.get("addresses", bytes(ETH.address)).id
    assert state.get("actors", actor_id).kind == "ethaccount"
    second = transaction(node, ETH, nonce=1)
    name = await get("eth_sendRawTransaction", "0x" + second.signed_bytes.hex())
    node.mine(2)
    assert (await get("eth_getTransactionReceipt", name))["status"] == "0x1"


async def test_a_call_that_fails_has_status_0_and_its_place(node, get):
    miner = b"\xff" + bytes(11) + (1000).to_bytes(8, "big")
    sent = transaction(node, ETH, to=miner, value=0, data=b"\x01\x02")

    name = await get("eth_sendRawTransaction", "0x" + sent.signed_bytes.hex())
    node.mine(2)

    receipt = await get("eth_getTransactionReceipt", name)
    assert (receipt["status"], receipt["to"]) == ("0x0", "0x" + miner.hex())
    assert (await get("eth_getTransactionByHash", name))["input"] == "0x0102"


async def test_native_messages_are_shown_as_native_calls(node, get):
    sent = signed(node, OWNER, WORKER.address, value=7)
    node.mempool.push(sent)
    node.mine(2)
    name = "0x" + sent.cid.digest.hex()

    mined = await get("eth_getTransactionByHash", name)

    state = node.chain.state_after(node.head.key)
    ids = [state.get("addresses", bytes(who.address)).id for who in (OWNER, WORKER)]
    assert [mined["from"], mined["to"]] == ["0xff" + "00" * 11 + one.to_bytes(8, "big").hex() for one in ids]
    assert mined["input"].startswith("0x868e10c4")
    assert mined["accessList"] == []
    assert await get("Filecoin.EthGetTransactionHashByCid", {"/": str(sent.cid)}) == name
    assert await get("Filecoin.EthGetMessageCidByTransactionHash", name) == {"/": str(sent.cid)}


async def test_what_nobody_knows_is_null(node, get):
    name = "0x" + "ab" * 32

    assert await get("eth_getTransactionByHash", name) is None
    assert await get("eth_getTransactionByHash", None) is None
    assert await get("eth_getTransactionReceipt", name) is None
    assert await get("Filecoin.EthGetMessageCidByTransactionHash", name) is None
    assert await get("Filecoin.EthGetTransactionHashByCid", {"/": str(node.head.tipset.cids[0])}) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"chain_id": 1}, "failed to convert to unsigned msg: invalid chain id: 1"),
        ({"nonce": 0, "fee_cap": 1}, "'GasFeeCap' less than 'GasPremium'"),
        ({"fee_cap": 99, "premium": 1}, "gas fee cap too low"),
        ({"gas_limit": 0}, "'GasLimit' field 0 must be positive"),
        ({"gas_limit": 10**10, "fee_cap": 10**12}, "not enough funds"),
    ],
)
async def test_a_transaction_that_cannot_be_is_refused(node, ask, change, words):
    raw = "0x" + transaction(node, ETH, **change).signed_bytes.hex()

    refusal = (await ask("eth_sendRawTransaction", raw))["error"]

    assert refusal["code"] == 1
    assert words in refusal["message"]
    assert node.mempool.pending() == []


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("0x", "empty data"),
        ("0x01", "EIP-2930 transaction is not supported"),
        ("0x05", "unsupported transaction type"),
        ("0xc0", "failed to parse legacy transaction: not a Legacy transaction: should have 9 elements"),
    ],
)
async def test_bytes_that_are_no_transaction_are_refused(ask, raw, words):
    assert words in (await ask("eth_sendRawTransaction", raw))["error"]["message"]


async def test_a_used_nonce_and_a_changed_signature_are_refused(node, get, ask):
    first = transaction(node, ETH)
    await get("eth_sendRawTransaction", "0x" + first.signed_bytes.hex())
    node.mine(2)

    again = await ask("eth_sendRawTransaction", "0x" + transaction(node, ETH, value=6).signed_bytes.hex())
    assert "minimum expected nonce is 1, got 0: message nonce too low" in again["error"]["message"]
    raw = bytearray(transaction(node, ETH, nonce=1).signed_bytes)
    raw[-1] ^= 1  # another key seems to have signed: it has no account
    assert "actor not found" in (await ask("eth_sendRawTransaction", "0x" + raw.hex()))["error"]["message"]


async def test_a_reorg_takes_a_transaction_back_and_mines_it_again(node, get):
    name = await get("eth_sendRawTransaction", "0x" + transaction(node, ETH).signed_bytes.hex())
    node.mine(2)
    assert await get("eth_getTransactionReceipt", name) is not None

    node.head_set(node.chain.at_height(node.head.height - 3, node.head.tipset).key)

    assert (await get("eth_getTransactionByHash", name))["blockHash"] is None
    node.mine(3)
    assert (await get("eth_getTransactionReceipt", name))["status"] == "0x1"


def test_a_restart_finds_transactions_by_their_hash(tmp_path):
    path = tmp_path / "chain.sqlite"
    node = chain(path)
    node.mine(1)
    send(node, OWNER, ETH.address, value=FIL)
    sent = transaction(node, ETH)
    message = transaction_to_message(sent, chain_id=node.network.eth_chain_id)
    node.mempool.push(message)
    node.close()

    again = chain(path)

    assert message_cid(again, sent.hash) == message.cid
    assert [one.cid for one in again.mempool.pending()] == [message.cid]
    again.close()


def test_transactions_are_shown_as_lotus_shows_them():
    golden = load("eth_transactions")
    shown = 0
    for case in golden["transactions"]:
        if "tx" in case:
            signed = signed_message_from_cbor(bytes.fromhex(case["signed_message"]))
            assert ethereum_json(signed, chain_id=golden["chain_id"]) == case["tx"]
            shown += 1
    assert shown > 50
