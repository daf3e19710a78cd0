"""Prices, their history, estimates and calls."""

from __future__ import annotations

import pytest

from poolsite.filecoin.amounts import FIL
from tests.unit.devnet.eth.conftest import ETH, FRIEND, name_of, transaction
from tests.unit.devnet.people import OWNER, WORKER, send

REVERTED = 3
MINER = "0xff" + "00" * 11 + (1000).to_bytes(8, "big").hex()


async def test_an_estimate_suffices(node, get):
    call = {"from": name_of(ETH), "to": name_of(FRIEND), "value": hex(FIL)}

    limit = int(await get("eth_estimateGas", call), 16)

    sent = transaction(node, ETH, gas_limit=limit, value=FIL)
    name = await get("eth_sendRawTransaction", "0x" + sent.signed_bytes.hex())
    node.mine(2)
    receipt = await get("eth_getTransactionReceipt", name)
    assert receipt["status"] == "0x1"
    assert int(receipt["gasUsed"], 16) <= limit
    assert await get("eth_estimateGas", call, "latest") == await get("eth_estimateGas", call)


async def test_a_call_to_an_account_gives_nothing(node, get):
    assert await get("eth_call", {"to": name_of(ETH), "data": "0x01"}, "latest") == "0x"
    assert (
        await get("eth_call", {"from": name_of(ETH), "to": name_of(FRIEND), "value": "0x1"}, "latest") == "0x"
    )
    head = node.head.tipset
    assert node.mempool.pending() == []
    assert node.head.tipset is head


@pytest.mark.parametrize("method", ["eth_call", "eth_estimateGas"])
async def test_what_would_fail_is_said_with_its_reason(ask, method):
    refusal = (await ask(method, {"from": name_of(ETH), "to": MINER, "data": "0x01"}, "latest"))["error"]

    assert (refusal["code"], refusal["data"]) == (REVERTED, "0x")
    assert refusal["message"].startswith(
        "message execution failed (exit=[ErrUnhandledMessage(22)], revert reason=["
    )
    poor = (await ask(method, {"to": name_of(FRIEND), "value": "0x1"}, "latest"))["error"]
    assert poor["code"] == REVERTED
    assert "SysErrInsufficientFunds(6)" in poor["message"]


async def test_who_is_not_there_cannot_call(ask):
    call = {"from": name_of(FRIEND), "to": name_of(ETH)}

    assert (await ask("eth_call", call, "latest"))["error"]["message"] == (
        f"ApplyWithGasOnState failed: call raw get actor: resolution lookup failed ({FRIEND.address}): "
        f"resolve address {FRIEND.address}: actor not found"
    )
    words = (await ask("eth_estimateGas", call))["error"]["message"]
    assert words.startswith("failed to estimate gas: ApplyWithGasOnState failed: call raw get actor: ")
    words = (await ask("eth_call", {"from": MINER, "to": name_of(ETH)}, "latest"))["error"]["message"]
    assert words == "failed to convert ethcall to filecoin message: expected a class 4 address, got: 0"


async def test_prices(node, get):
    price = int(await get("eth_gasPrice"), 16)
    premium = int(await get("eth_maxPriorityFeePerGas"), 16)

    assert price == node.head.tipset.parent_base_fee + premium


async def test_the_history_of_fees(node, get):
    send(node, OWNER, WORKER.address, value=1)
    node.mine(2)

    history = await get("eth_feeHistory", "0x4", "latest", [0, 50, 100])

    latest = node.chain.parent(node.head.tipset).tipset
    assert history["oldestBlock"] == hex(latest.height - 3)
    assert len(history["baseFeePerGas"]) == 5
    assert history["baseFeePerGas"][-1] == hex(latest.parent_base_fee)
    assert len(history["gasUsedRatio"]) == len(history["reward"]) == 4
    used = [at for at, ratio in enumerate(history["gasUsedRatio"]) if ratio]
    assert len(used) == 1
    assert all(len(rewards) == 3 for rewards in history["reward"])
    assert "reward" not in await get("eth_feeHistory", 4, "latest")
    assert (await get("eth_feeHistory", 1024, "latest"))["oldestBlock"] == "0x1"


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ((4,), "decoding params: expected 2 or 3 params, got 1"),
        ((1025, "latest"), "block count should be smaller than 1024"),
        ((1, "latest", [101]), "invalid reward percentile: 101.000000 should be between 0 and 100"),
        ((1, "latest", [5, 4]), "invalid reward percentile: 4.000000 should be larger than 5.000000"),
        ((1, "latest", [1] * 101), "length of the reward percentile array cannot be greater than 100"),
        ((1, 5), "decoding params: json: cannot unmarshal number into Go value of type string"),
        ((1, "0xffffff"), "requested a future epoch (beyond 'latest')"),
    ],
)
async def test_a_history_that_cannot_be_told(ask, params, words):
    assert (await ask("eth_feeHistory", *params))["error"] == {"code": 1, "message": words}


async def test_an_estimate_that_cannot_be_read(ask):
    assert (await ask("eth_estimateGas"))["error"][
        "message"
    ] == "decoding params: expected 1 or 2 params, got 0"
    words = (await ask("eth_estimateGas", {"to": "0x12"}))["error"]["message"]
    assert words == "decoding params: expected hex string length sans prefix 40, got 2"
