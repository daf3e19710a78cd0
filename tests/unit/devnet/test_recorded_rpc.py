"""Recorded exchanges of a lotus node, replayed: same status, codes and words, same form of results."""

from __future__ import annotations

import pytest

from poolsite.devnet.clock import ManualClock
from poolsite.devnet.node import Devnet
from poolsite.devnet.profile import Profile
from poolsite.filecoin.actors.market import ADD_BALANCE_PARAMS, AddBalanceParams
from poolsite.filecoin.address import MARKET_ACTOR
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.block import TipsetKey
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
OTHERWISE = {
    "GET readyz": "the recorded node was out of sync",
    "StateGetNetworkParams": "the devnet adds the times that lotus has compiled in",
    "AuthVerify": "the recorded token is of another node; test_access does it",
    "genesis sector": "the devnet's built-in miner has a sector 0",
    "StateMarketParticipants": "members are addresses",
    "power CurrentTotalPower": "no block store operations are traced",
    "withdraw forbidden": "no block store operations are traced",
}
"""Notes of exchanges that differ, and why."""


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
    deposit = ADD_BALANCE_PARAMS.encode(AddBalanceParams(STRANGER.address))
    send(node, STRANGER, MARKET_ACTOR, method=2, params=deposit, value=19 * FIL)
    node.null_rounds(860 - node.head.height)
    node.advance_to(882)
    messages = [
        signed(node, OWNER, node.wallet.default, value=1),
        signed(node, WORKER, OWNER.address, value=2),
    ]
    for message in messages:
        node.mempool.push(message)
    node.advance_to(HEIGHT)
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


def _cases():
    return [exchange for exchange in exchanges("golden_rpc.json") if exchange["note"] not in OTHERWISE]


@pytest.mark.parametrize("exchange", _cases(), ids=_id)
async def test_the_devnet_answers_as_lotus(replay, exchange):
    response = await replay.answer(exchange)

    assert response.status_code == exchange["status"]
    assert answer_differences(exchange["response"], response.text) == []


def test_only_named_exchanges_are_left_out():
    everything = exchanges("golden_rpc.json")

    left_out = len(everything) - len(_cases())

    assert len(everything) == 282
    assert left_out == 10
    assert {e["note"] for e in everything if e["note"] in OTHERWISE} == set(OTHERWISE)
