"""Winners drawn again, and the warm-up, on a node that answers and with a signer that signs."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from apps.blocks.rounds.warm_up import warm_up
from apps.blocks.rounds.winners import winners_count
from apps.chain.errors import NodeRefused
from apps.chain.node.client import ChainClient
from apps.core.errors import BadValue
from apps.gateway.errors import NoAnswer, SignerAway
from apps.users.rules.principals import SYSTEM
from poolsite.devnet.presealed.sector import presealed_sector
from poolsite.filecoin.keys import key_sign
from poolsite.wire.pipeline import SectorState
from tests import factories
from tests.unit.apps.blocks.world import drawn, seed_of


@pytest.fixture
def signing(world, monkeypatch):
    def sign_all(requests: Any, **_: Any) -> Any:
        return [key_sign(world.devnet.key, drawn(one.to_sign)) for one in requests]

    monkeypatch.setattr("apps.blocks.rounds.winners.wallet_sign_all", sign_all)
    monkeypatch.setattr("apps.gateway.services.signatures.wallet_sign_all", sign_all)
    return world


def test_winners_are_those_that_the_chain_has(signing):
    signing.devnet.mine(6)
    head = signing.devnet.head
    heights = {tipset.height: tipset for tipset in signing.devnet.chain.ancestors(head.tipset)}

    found = winners_count(signing.miner, first=0, last=head.height - 1)

    wins = {one.epoch: one.wins for one in found.epochs if one.wins}
    assert wins == {
        height: tipset.blocks[0].election_proof.win_count for height, tipset in heights.items() if height > 0
    }
    assert found.total == sum(wins.values())
    with pytest.raises(BadValue, match="greater than cur tipset height"):
        winners_count(signing.miner, first=0, last=head.height + 1)


def test_an_absent_signer_is_named_for_each_epoch(signing, monkeypatch):
    monkeypatch.setattr(
        "apps.blocks.rounds.winners.wallet_sign_all",
        lambda asked, **_: [SignerAway("f3x", "away") for _ in asked],
    )

    found = winners_count(signing.miner, first=0, last=1)

    assert [(one.wins, one.reason) for one in found.epochs] == [(0, "away"), (0, "away")]


@pytest.fixture
def sector(signing):
    made = presealed_sector()
    factories.sector(
        signing.miner,
        number=made.number,
        state=SectorState.PROVING,
        active=True,
        seal_proof=made.seal_proof,
        comm_r=made.comm_r,
    )
    factories.head(10)
    return made


def test_a_warm_up_goes_the_whole_way(signing, sector, monkeypatch):
    def prove(requests: Any, **_: Any) -> Any:
        proof = sector.winning_post(seed_of(requests[0].payload))
        return [[{"PoStProof": sector.winning_proof, "ProofBytes": base64.b64encode(proof).decode()}]]

    monkeypatch.setattr("apps.blocks.rounds.warm_up.requests_send", prove)

    done = warm_up(signing.miner, viewer=SYSTEM)

    assert (done.failed, done.reason) == ("", "")
    assert [name for name, _ in done.steps] == ["base_info", "election", "proof", "verify", "node_key"]


@pytest.mark.parametrize("has_key", [True, False])
def test_a_warm_up_asks_lotus_for_the_workers_key(signing, sector, monkeypatch, has_key):
    def prove(requests: Any, **_: Any) -> Any:
        proof = sector.winning_post(seed_of(requests[0].payload))
        return [[{"PoStProof": sector.winning_proof, "ProofBytes": base64.b64encode(proof).decode()}]]

    call = ChainClient.call

    def lotus(client: ChainClient, method: str, *params: Any) -> Any:
        if method == "MpoolSelects":
            raise NodeRefused(-32601, "method 'Filecoin.MpoolSelects' not found")
        return has_key if method == "WalletHas" else call(client, method, *params)

    monkeypatch.setattr("apps.blocks.rounds.warm_up.requests_send", prove)
    monkeypatch.setattr(ChainClient, "call", lotus)

    done = warm_up(signing.miner, viewer=SYSTEM)

    assert done.failed == ("" if has_key else "node_key")
    assert has_key or "remote wallet" in done.reason


def test_a_warm_up_names_the_step_that_fails(signing, sector, monkeypatch):
    monkeypatch.setattr(
        "apps.blocks.rounds.warm_up.requests_send", lambda *_, **__: [NoAnswer("no answer in time")]
    )

    done = warm_up(signing.miner, viewer=SYSTEM)

    assert (done.failed, done.reason) == ("proof", "no answer in time")
    assert [name for name, _ in done.steps] == ["base_info", "election"]
