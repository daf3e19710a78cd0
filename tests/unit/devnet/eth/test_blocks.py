"""Blocks in Ethereum's form: by tag, number and hash; what each tag means; refusals."""

from __future__ import annotations

import pytest

from tests.unit.devnet.eth.conftest import ETH, name_of
from tests.unit.devnet.people import OWNER, WORKER, send

NULL_ROUND = 12


async def test_latest_is_the_parent_of_the_head(node, get):
    parent = node.chain.parent(node.head.tipset).tipset

    latest = await get("eth_getBlockByNumber", "latest", False)

    assert latest["number"] == await get("eth_blockNumber") == hex(parent.height)
    assert latest["hash"] == "0x" + parent.key.cid.digest.hex()
    assert latest["parentHash"] == "0x" + parent.parents.cid.digest.hex()
    pending = await get("eth_getBlockByNumber", "pending", False)
    assert pending["parentHash"] == latest["hash"]
    assert await get("eth_getBlockByHash", latest["hash"], False) == latest
    assert await get("eth_getBlockByNumber", latest["number"], False) == latest
    assert await get("eth_getBlockByNumber", str(parent.height), False) == latest


async def test_a_block_shows_its_transactions_by_hash_or_whole(node, get):
    send(node, OWNER, WORKER.address, value=1)

    short = await get("eth_getBlockByNumber", "latest", False)
    whole = await get("eth_getBlockByNumber", "latest", True)

    assert short["transactions"] == [one["hash"] for one in whole["transactions"]]
    assert len(short["transactions"]) == 1
    assert [one["transactionIndex"] for one in whole["transactions"]] == ["0x0"]
    assert whole["gasUsed"] != "0x0"
    assert whole["gasLimit"] == hex(10**10)


async def test_safe_and_finalized_lie_behind(node, get):
    node.mine(40)

    heights = {
        tag: int((await get("eth_getBlockByNumber", tag, False))["number"], 16)
        for tag in ("latest", "safe", "finalized")
    }

    head = node.head.height
    assert heights["latest"] == head - 1
    assert heights["safe"] == head - 30
    assert heights["finalized"] == max(head - node.network.chain_finality, 0)


async def test_a_null_round_has_no_block_but_a_state(node, get, ask):
    node.null_rounds(1)
    node.mine(3)
    empty = next(
        height
        for height in range(node.head.height, 0, -1)
        if node.chain.at_height(height, node.head.tipset).height != height
    )

    refusal = (await ask("eth_getBlockByNumber", hex(empty), False))["error"]

    assert refusal == {
        "code": NULL_ROUND,
        "message": f"requested epoch was a null round ({empty})",
        "data": empty,
    }
    assert await get("eth_getBalance", name_of(ETH), hex(empty)) != "0x0"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("earliest", 'block param "earliest" is not supported'),
        ("0xffffff", "requested a future epoch (beyond 'latest')"),
        ("soon", 'failed to parse block number: strconv.ParseUint: parsing "soon": invalid syntax'),
        ("0x", 'failed to parse block number: strconv.ParseUint: parsing "": invalid syntax'),
        (
            "0x1" + "0" * 16,
            f'failed to parse block number: strconv.ParseUint: parsing "1{"0" * 16}": value out of range',
        ),
    ],
)
async def test_a_number_that_names_no_block_is_refused(ask, number, words):
    assert (await ask("eth_getBlockByNumber", number, False))["error"] == {"code": 1, "message": words}


async def test_a_hash_that_names_no_block_is_refused(node, ask):
    words = (await ask("eth_getBlockByHash", "0x" + "ab" * 32, False))["error"]["message"]

    assert words.startswith("failed to get tipset by hash: cannot find tipset with cid bafy2bz")
    message = "0x" + node.head.tipset.cids[0].digest.hex()  # a block of Filecoin's is no tipset key
    assert "error" in await ask("eth_getBlockByHash", message, False)


async def test_a_block_may_be_demanded_to_be_canonical(node, get, ask):
    latest = await get("eth_getBlockByNumber", "latest", False)
    node.head_set(node.chain.at_height(node.head.height - 3, node.head.tipset).key)
    node.null_rounds(1)
    node.mine(4)
    name = {"blockHash": latest["hash"]}

    assert await get("eth_getBalance", name_of(ETH), name) == await get(
        "eth_getBalance", name_of(ETH), latest["hash"]
    )
    refusal = await ask("eth_getBalance", name_of(ETH), {**name, "requireCanonical": True})
    assert refusal["error"]["message"] == "tipset is not canonical"


async def test_genesis_can_be_shown(node, get):
    genesis = await get("eth_getBlockByNumber", "0x0", True)

    assert (genesis["number"], genesis["transactions"]) == ("0x0", [])


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (
            {"blockNumber": "0x1", "blockHash": "0x" + "00" * 32},
            "cannot specify both blockNumber and blockHash",
        ),
        (5, "json: cannot unmarshal number into Go value of type string"),
        ("nonsense", "invalid block param"),
    ],
)
async def test_a_parameter_that_is_no_block_is_refused_as_go_does(ask, block, words):
    refusal = (await ask("eth_getBalance", name_of(ETH), block))["error"]

    assert refusal["code"] == -32700
    assert refusal["message"].endswith(words)
