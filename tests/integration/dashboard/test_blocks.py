"""The page Blocks: strips, luck, wins with their reasons, a win's timeline; mining on and off."""

from __future__ import annotations

import pytest
from django.urls import reverse

from apps.blocks.models import Block, Round
from apps.blocks.states import RoundState
from apps.core.clock import now
from apps.users.models import MinerGrant
from apps.users.services.grants import miner_grant
from tests import factories, people
from tests.page_client import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def won():
    people.person("ann")
    factories.head(20)
    miner = factories.miner(2001, name="north", qa_power=2048)
    miner_grant(tenant=people.tenant("alice"), actor_id=2001)
    common = {"miner": miner, "base_height": 9, "at": now(), "expected": 0.25}
    Round.objects.create(epoch=10, state=RoundState.NO_WIN, **common)
    Round.objects.create(
        epoch=11, state=RoundState.PROOF_TIMEOUT, win_count=1, reason="no answer in time", **common
    )
    row = Round.objects.create(
        epoch=12,
        state=RoundState.INCLUDED,
        win_count=1,
        sector=3,
        steps=[["base_info", 800, 12], ["proof", 830, 95], ["wait", 1000, 900], ["submit", 2000, 40]],
        budget_ms=2800,
        **common,
    )
    Block.objects.create(
        actor_id=2001,
        height=12,
        parents=bytes(32),
        unsigned=b"",
        cid=factories.cid("block"),
        round=row,
        reserved_at=now(),
        reward=4 * 10**18,
        penalty=0,
    )
    return row


def test_the_page_shows_rounds_luck_and_wins(won):
    text = signed_in("ann").get("/blocks/").content.decode()

    assert "1 block included, 1 win lost." in text
    assert "4.0000 FIL in 24 hours, 3.0000 FIL of it vests" in text
    assert "epoch 11: proof timeout: no answer in time" in text
    assert "epoch 10: no win" in text
    assert "2 wins, 0.8 expected" in text
    assert "125 ms" in text, "the wait for the block's time is not counted"


def test_a_wins_timeline_names_each_step_with_its_milliseconds(won):
    text = signed_in("ann").get(reverse("block-round", args=[won.uuid])).content.decode()

    assert "WinningPoSt: from 830 ms, 95 ms" in text
    assert factories.cid("block") in text
    people.person("bea", of="bob")
    assert signed_in("bea").get(reverse("block-round", args=[won.uuid])).status_code == 404


def test_mining_is_stopped_and_started(won):
    ann, href = signed_in("ann"), reverse("blocks-mining", args=[won.miner.uuid])

    assert ann.post(href, {"on": "0"}).status_code == 302
    assert not MinerGrant.objects.get(actor_id=2001).open_mining
    assert "Start" in ann.get("/blocks/").content.decode()
    assert ann.post(href, {"on": "1"}).status_code == 302
    assert MinerGrant.objects.get(actor_id=2001).open_mining
    people.person("bea", of="bob")
    assert signed_in("bea").post(href, {"on": "0"}).status_code == 404


def test_without_power_the_page_says_what_is_needed():
    people.person("ann")

    assert "No miner has power yet" in signed_in("ann").get("/blocks/").content.decode()
