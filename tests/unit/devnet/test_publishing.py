"""Deals are published on the devnet: what both sides promise is locked, what cannot be kept is dropped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from poolsite.filecoin.actors.market import (
    Method,
    PublishStorageDealsParams,
    PublishStorageDealsReturn,
    WithdrawBalanceParams,
    WithdrawBalanceReturn,
)
from poolsite.filecoin.actors.miner import Method as MinerMethod
from poolsite.filecoin.actors.miner_control import WithdrawBalanceParams as WithdrawMinerParams
from poolsite.filecoin.address import MARKET_ACTOR, id_address
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.cids import commr_cid
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.deals import (
    MAX_DURATION,
    MIN_DURATION,
    client_lockup,
    deal_cid,
)
from tests.unit.devnet.deals import COLLATERAL, GAS, Fair, signed_by
from tests.unit.devnet.people import OWNER, STRANGER, WORKER, person, send


def test_a_published_deal_locks_what_both_sides_promise(fair):
    proposal = fair.proposal()

    answer = fair.published(proposal)

    assert answer.ids == (0,)
    assert fair.escrow(fair.client_id) == (5 * FIL, client_lockup(proposal))
    assert fair.escrow(fair.miner.id) == (5 * FIL, COLLATERAL)
    own = replace(proposal, client=id_address(fair.client_id))
    assert fair.market.proposal(0) == own
    assert fair.market.is_pending(deal_cid(own))
    assert fair.market.progress(0) is None
    fair.check()


def test_only_what_is_not_locked_can_be_withdrawn(fair):
    proposal = fair.proposal()
    fair.published(proposal)
    params = to_cbor(WithdrawBalanceParams(fair.client.address, 10 * FIL))

    receipt = send(fair.node, fair.client, MARKET_ACTOR, method=3, params=params)

    assert from_cbor(WithdrawBalanceReturn, receipt.return_).amount == 5 * FIL - client_lockup(proposal)
    assert fair.escrow(fair.client_id) == (client_lockup(proposal),) * 2
    fair.check()


def _many_letters(_fair):
    return {"label": "x" * 257}


UNFIT = {
    "began already": lambda fair: {"start_epoch": fair.node.head.height - 1},
    "too short": lambda fair: {"end_epoch": fair.node.head.height + 40 + MIN_DURATION - 1},
    "too long": lambda fair: {"end_epoch": fair.node.head.height + 41 + MAX_DURATION},
    "odd size": lambda _: {"piece_size": 1000},
    "tiny piece": lambda _: {"piece_size": 64},
    "no commitment": lambda _: {"piece_cid": commr_cid(bytes(32))},
    "long label": _many_letters,
    "no collateral": lambda _: {"provider_collateral": 0},
    "more collateral than there is": lambda _: {"provider_collateral": 6 * FIL},
    "more than the client has": lambda _: {"client_collateral": 6 * FIL},
    "negative price": lambda _: {"storage_price_per_epoch": -1},
    "another miner": lambda _: {"provider": id_address(1000)},
    "an unknown client": lambda _: {"client": person("nobody").address},
    "no data cap": lambda _: {"verified_deal": True},
}


@pytest.mark.parametrize("why", sorted(UNFIT))
def test_a_proposal_that_cannot_be_kept_is_dropped(fair, why):
    good = fair.proposal(label=b"\xff bytes")
    bad = fair.proposal(**UNFIT[why](fair))
    pair = [signed_by(fair.client, proposal) for proposal in (good, bad)]

    receipt = fair.publish(*pair)

    answer = from_cbor(PublishStorageDealsReturn, receipt.return_)
    assert (answer.ids, answer.valid_deals.numbers(9)) == ((0,), (0,))
    if why != "another miner":
        assert fair.publish(pair[1]).exit_code == 16, "nothing is left"
    fair.check()


def test_a_deal_is_published_once_and_only_with_the_clients_signature(fair):
    proposal = fair.proposal()
    one, forged = signed_by(fair.client, proposal), signed_by(OWNER, proposal)

    assert fair.publish(forged).exit_code == 16
    assert from_cbor(PublishStorageDealsReturn, fair.publish(one, one).return_).ids == (0,)
    assert fair.publish(one).exit_code == 16, "it is on chain already"
    assert fair.publish(signed_by(fair.client, replace(proposal, label="another"))).exit_code == 0


def test_only_the_miners_own_people_publish(fair):
    proposal = fair.proposal()
    deal = signed_by(fair.client, proposal)
    strange = [
        signed_by(fair.client, replace(proposal, provider=provider))
        for provider in (OWNER.address, person("nobody").address, id_address(777_777))
    ]

    assert fair.publish(deal, who=STRANGER).exit_code == 18
    assert fair.publish().exit_code == 16
    assert [fair.publish(other).exit_code for other in strange] == [16, 17, 17]
    assert fair.publish(deal, who=OWNER).exit_code == 0, "the owner may"


def test_a_client_with_a_bls_key_signs_too():
    fair = Fair(client=WORKER)

    assert fair.published(fair.proposal()).ids == (0,)

    fair.node.close()


def test_the_markets_calls_are_there_under_both_numbers(fair):
    params = to_cbor(PublishStorageDealsParams((signed_by(fair.client, fair.proposal()),)))
    method = int(Method.PUBLISH_STORAGE_DEALS_EXPORTED)

    receipt = send(fair.node, WORKER, MARKET_ACTOR, method=method, params=params, gas_limit=GAS)

    assert from_cbor(PublishStorageDealsReturn, receipt.return_).ids == (0,)
    owned = to_cbor(WithdrawMinerParams(FIL))
    number = int(MinerMethod.WITHDRAW_BALANCE_EXPORTED)
    assert send(fair.node, OWNER, fair.miner.address, method=number, params=owned).exit_code == 0
