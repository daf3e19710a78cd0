"""Ethereum's names for the devnet's accounts, fees and network."""

from __future__ import annotations

import json

import pytest

from poolsite.filecoin.address import EAM_NAMESPACE, delegated_address
from poolsite.filecoin.amounts import FIL
from tests.unit.devnet.people import OWNER, chain, send, signed
from tests.unit.devnet.recorded import Replay

NAME = bytes(range(20))
ETH = delegated_address(EAM_NAMESPACE, NAME)


@pytest.fixture
def node():
    node = chain()
    node.mine(2)
    yield node
    node.close()


async def answer(node, method, *params):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
    return (await Replay(node, {}).answer({"path": "/rpc/v1", "token": "read", "request": body})).json()


async def test_an_account_has_balance_and_nonce_by_its_ethereum_name(node):
    text = "0x" + NAME.hex()
    assert (await answer(node, "eth_getBalance", text, "latest"))["result"] == "0x0"
    before = node.head.height
    send(node, OWNER, ETH, value=3 * FIL)

    assert (await answer(node, "eth_getBalance", text, "latest"))["result"] == hex(3 * FIL)
    assert (await answer(node, "Filecoin.EthGetBalance", text, hex(before)))["result"] == "0x0"
    assert (await answer(node, "eth_getTransactionCount", text, "latest"))["result"] == "0x0"
    assert (await answer(node, "eth_getCode", text, "latest"))["result"] == "0x"


async def test_pending_messages_count_where_they_are_asked_for(node):
    actor_id = node.chain.state_after(node.head.key).get("addresses", bytes(OWNER.address)).id
    name = "0xff" + "00" * 11 + actor_id.to_bytes(8, "big").hex()
    node.mempool.push(signed(node, OWNER, ETH, value=1))

    assert (await answer(node, "eth_getTransactionCount", name, "latest"))["result"] == "0x0"
    assert (await answer(node, "eth_getTransactionCount", name, "pending"))["result"] == "0x1"


async def test_addresses_are_translated_both_ways(node):
    text = "0x" + NAME.hex()

    assert (await answer(node, "Filecoin.EthAddressToFilecoinAddress", text))["result"] == str(ETH)
    assert (await answer(node, "Filecoin.FilecoinAddressToEthAddress", str(ETH)))["result"] == text
    masked = (await answer(node, "Filecoin.FilecoinAddressToEthAddress", str(OWNER.address)))["result"]
    back = (await answer(node, "Filecoin.EthAddressToFilecoinAddress", masked))["result"]
    assert back.startswith("f0")
    missing = await answer(
        node, "Filecoin.FilecoinAddressToEthAddress", "f1a4dqobyha4dqobyha4dqobyha4dqobyhl65pnyi"
    )
    assert missing["error"]["message"].startswith("failed to lookup ID address for given Filecoin address f1")
    assert missing["error"]["message"].endswith("actor not found")


async def test_network_and_fees(node):
    price = int((await answer(node, "eth_gasPrice"))["result"], 16)
    premium = int((await answer(node, "eth_maxPriorityFeePerGas"))["result"], 16)

    assert price == node.head.tipset.parent_base_fee + premium
    assert (await answer(node, "eth_chainId"))["result"] == hex(node.network.eth_chain_id)


@pytest.mark.parametrize("block", ["earliest", "0xzz", "soon", None, "0xffffff", 5])
async def test_a_block_that_nobody_has_is_refused(node, block):
    assert "error" in await answer(node, "eth_getBalance", "0x" + NAME.hex(), block)


@pytest.mark.parametrize("name", ["", "0x00", "nonsense", 7, None, "0x" + "zz" * 20])
async def test_what_is_no_ethereum_address_is_refused(node, name):
    assert (await answer(node, "eth_getBalance", name, "latest"))["error"]["code"] == -32700
