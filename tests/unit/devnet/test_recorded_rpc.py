"""Recorded exchanges of a lotus node, replayed: same status, codes and words, same form of results."""

from __future__ import annotations

import json

import pytest

from poolsite.devnet.clock import ManualClock
from poolsite.devnet.node import Devnet
from poolsite.devnet.profile import Profile
from poolsite.filecoin.actors.market import AddBalanceParams
from poolsite.filecoin.address import MARKET_ACTOR
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.network_params import network_to_params
from poolsite.filecoin.tipset import TipsetKey
from tests.devnet_epochs import advance_to
from tests.unit.devnet.people import OWNER, STRANGER, WORKER, send, signed
from tests.unit.devnet.recorded import Replay, answer_differences, exchanges
from tests.unit.devnet.sealing import small_miner

HEIGHT = 885
"""Height of the recorded chain."""
WORLD = {
    "secp": "t1h4xqvbasbityerbsls4nfnovmoe76orox53d4oq",
    "bls": "t3whueph2q5d3zruipfg7jaxtkwd7bbph3me5rg2teomckb6lgtj6jullsrubpe356wvcgha6korabctq7rjwq",
    885: "bafy2bzaceapbj5tk7m4sxfgfcyse43swjyihqrkrcqgblq6f2wzyrrthetas6",
    884: "bafy2bzacedopr53yu3vkuaiphlqdlrgxjp3i7mkqcfkdvahzxu3c3zsbbxwou",
    883: "bafy2bzacedtzxj3fyhkujl2zc6ksv7jotfehko45p2v3np54fjsb75qbflgt2",
    0: "bafy2bzaced5r2ymv6326x3c4g4jhujx5aois6lhaw4ie4uvt24kbw4oawfhpa",
    "secp message": "bafy2bzacec2gh7abgv7bu6bushi37hiph4ywy2mcs4o3xanguspoxde4oid34",
    "bls message": "bafy2bzaceavxftw4kqm4oqoh2dh2yt5snp75np454i3fhyfviwjs5pj2easus",
    "receipts": "bafy2bzacedk7wwkww4xmmqh6odyktx44codmi7priv23y2rd35dng7si6zem6",
}
"""Names in the recordings."""
TOKEN = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJBbGxvdyI6WyJyZWFkIiwid3JpdGUiLCJzaWduIl19."
    "gSKz6-rstVgmfJ447MQanWtkGqbqggearEUYL5bUZ9o"
)
"""A token of the recorded node, which may sign."""
GONE_SECTOR = 7
"""The recorded genesis miner had lost its sector 0; the devnet's has it, and no sector of this number."""
OTHERWISE = {
    "StateGetNetworkParams": "the devnet adds the times that lotus has compiled in",
    "StateMarketParticipants": "members are addresses, which differ between chains",
}
"""Notes of exchanges whose answers differ in form, and why."""


@pytest.fixture(scope="module")
def replay():
    funds = {who.address: 10_000 * FIL for who in (OWNER, WORKER, STRANGER)}
    node = Devnet(
        ":memory:",
        network="lotus-2k",
        clock=ManualClock(),
        funds=funds,
        profile=Profile(null_free=True),
        open_perms=("read",),
    )
    node.wallet.add(OWNER.key)
    miner = small_miner(node)
    miner.add_sectors(1, 2)
    deposit = to_cbor(AddBalanceParams(STRANGER.address))
    send(node, STRANGER, MARKET_ACTOR, method=2, params=deposit, value=19 * FIL)
    node.null_rounds(860 - node.head.height)
    advance_to(node, 882)
    messages = [
        signed(node, OWNER, node.wallet.default, value=1),
        signed(node, WORKER, OWNER.address, value=2),
    ]
    for message in messages:
        node.mempool.push(message)
    advance_to(node, HEIGHT)
    yield Replay(node, _names(node, miner, messages))
    node.close()


def _names(node, miner, messages):
    tipset = {height: node.chain.at_height(height, node.head.tipset) for height in (0, 883, 884, 885)}
    included = node.chain.link(TipsetKey(tipset[883].cids))
    own = {
        "secp": OWNER.address,
        "bls": node.wallet.default,
        "secp message": messages[0].cid,
        "bls message": messages[1].cid,
        "receipts": included.receipts_root,
    } | {height: found.cids[0] for height, found in tipset.items()}
    names = {WORLD[name]: str(new) for name, new in own.items()}
    return names | dict.fromkeys(("f01014", "t01014", "f01015", "t01015"), str(miner.address))


def _id(exchange):
    return f"{exchange['topic']}: {exchange['note']}"


def _asked_here(exchange, replay):
    """The exchange as it would be on this chain where what it asks of is known by another name."""
    request, response = exchange["request"], exchange["response"]
    if exchange["note"] == "AuthVerify":
        request = request.replace(TOKEN, replay.token("sign"))
    if exchange["note"] == "genesis sector":
        request = request.replace('"t01000",0', f'"t01000",{GONE_SECTOR}')
        response = response.replace("sector 0", f"sector {GONE_SECTOR}")
    return exchange | {"request": request, "response": response}


def _cases():
    return [exchange for exchange in exchanges("golden_rpc.json") if exchange["note"] not in OTHERWISE]


@pytest.mark.parametrize("exchange", _cases(), ids=_id)
async def test_the_devnet_answers_as_lotus(replay, exchange):
    here = _asked_here(exchange, replay)
    replay.node.faults.settings.behind = 3 if exchange["note"] == "GET readyz" else 0

    response = await replay.answer(here)

    replay.node.faults.settings.behind = 0
    assert response.status_code == here["status"]
    assert answer_differences(here["response"], response.text) == []


async def test_network_params_are_lotus_and_what_the_devnet_adds(replay):
    (exchange,) = [e for e in exchanges("golden_rpc.json") if e["note"] == "StateGetNetworkParams"]

    found = answer_differences(exchange["response"], (await replay.answer(exchange)).text)

    added = {name.removeprefix(".").removesuffix(" is new") for name in found if name.endswith(" is new")}
    params = network_to_params(replay.node.network, genesis_s=0)
    assert added == set(params) - set(json.loads(exchange["response"])["result"])
    assert [name for name in found if not name.endswith(" is new")] == [
        ".ForkUpgradeParams.UpgradeXxHeight is missing"
    ], "a placeholder of lotus' test networks"


async def test_participants_of_the_market_are_told_alike(replay):
    (exchange,) = [e for e in exchanges("golden_rpc.json") if e["note"] == "StateMarketParticipants"]
    told = json.loads(exchange["response"])["result"]

    answer = json.loads((await replay.answer(exchange)).text)["result"]

    assert list(answer.values()) == list(told.values())
    assert [name[:2] for name in answer] == ["f0"]


def test_only_named_exchanges_are_left_out():
    everything = exchanges("golden_rpc.json")

    left_out = len(everything) - len(_cases())

    assert len(everything) == 282
    assert left_out == 2
    assert {e["note"] for e in everything if e["note"] in OTHERWISE} == set(OTHERWISE)
