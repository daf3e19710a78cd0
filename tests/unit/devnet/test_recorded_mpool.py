"""The recorded conversation with a lotus node's message pool, replayed with its own signed messages."""

from __future__ import annotations

import json

from poolsite.devnet.clock import ManualClock
from poolsite.devnet.node import Devnet
from poolsite.devnet.profile import Profile
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import FIL
from tests.unit.devnet.people import OWNER
from tests.unit.devnet.recorded import Replay, answer_differences, exchanges

RECEIVER = "t3whueph2q5d3zruipfg7jaxtkwd7bbph3me5rg2teomckb6lgtj6jullsrubpe356wvcgha6korabctq7rjwq"
SENDERS = ("t1vn4qebtt4c2h3qdvz4tykug6t23zxa67stn2wiy", "f14cr5is6jzemttyohegi7jk3bkrcxdmoky2obdwy")
OWN_KEY = "t1wjlktcpd3zof23laie7p7l5mvkwgmiz6esgg6oy"
"""The recorded node's own key, whose part OWNER plays."""
NOISY = ("premium 1", "premium 2", "premium 10")
"""Lotus adds noise; see test_estimation."""


def world() -> Devnet:
    funds = {address_parse(RECEIVER): 1000 * FIL, OWNER.address: 1000 * FIL}
    funds |= {address_parse(sender): 100 * FIL for sender in SENDERS}
    node = Devnet(
        ":memory:", network="lotus-2k", clock=ManualClock(), funds=funds, profile=Profile(null_free=True)
    )
    node.wallet.add(OWNER.key)
    node.advance(120)  # the base fee falls to its floor
    return node


async def test_the_pool_answers_as_lotus():
    node = world()
    replay = Replay(node, {OWN_KEY: str(OWNER.address)})
    found = {}

    for exchange in exchanges("golden_mpool.json"):
        if exchange["note"] == "nonce after mining":
            node.mine(3)
        response = await replay.answer(exchange)
        wrong = answer_differences(exchange["response"], response.text)
        wrong += _other_value(exchange, response.text) + _other_verdicts(exchange, response.text)
        if wrong:
            found[exchange["note"]] = wrong

    node.close()
    assert found == {}


def _other_value(exchange, text):
    """CIDs of messages with their own signatures, nonces and gas must be the very same."""
    if exchange["note"] in NOISY or "PushMessage" in exchange["request"]:
        return []
    wanted, given = json.loads(exchange["response"]), json.loads(text)
    result = wanted.get("result")
    is_cid = isinstance(result, dict) and set(result) == {"/"}
    if (is_cid or isinstance(result, int)) and given.get("result") != result:
        return [f"{given.get('result')}, not {result}"]
    return []


def _other_verdicts(exchange, text):
    """Checks of messages come in the same order with the same words; amounts and fees hang on the chain."""
    if not exchange["note"].startswith("MpoolCheck"):
        return []
    wanted, given = (
        [
            [(one["Code"], one["OK"], one["Err"], sorted(one["Hint"] or {})) for one in message]
            for message in json.loads(body)["result"]
        ]
        for body in (exchange["response"], text)
    )
    gas = [
        [one["Hint"] for message in json.loads(body)["result"] for one in message if one["Code"] == 4]
        for body in (exchange["response"], text)
    ]
    found = [
        f"{left} instead of {right}" for left, right in zip(given, wanted, strict=False) if left != right
    ]
    if len(wanted) != len(given):
        found.append(f"{len(given)} messages instead of {len(wanted)}")
    return found + ([] if gas[0] == gas[1] else [f"{gas[1]} instead of {gas[0]}"])


def test_the_whole_file_is_replayed():
    assert len(exchanges("golden_mpool.json")) == 95
