"""Rounds and blocks over REST: by cursor, by epochs, for whoever may see the miner; mining on and off."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apps.blocks.models import Block, Round
from apps.blocks.states import RoundState, WhyNot
from apps.chain.selectors.network import network_current
from apps.core.clock import now
from apps.miners.models import Miner
from apps.users.models import AuditEntry, MinerGrant
from apps.users.services.grants import miner_grant
from tests import factories, people

pytestmark = pytest.mark.django_db


@pytest.fixture
def miner() -> Miner:
    row = factories.miner(2001)
    miner_grant(tenant=people.tenant("alice"), actor_id=2001)
    common = {"miner": row, "base_height": 9, "at": now(), "expected": 0.25}
    for epoch in range(10, 14):
        Round.objects.create(epoch=epoch, state=RoundState.NO_WIN, **common)
    Round.objects.create(epoch=14, state=RoundState.NOT_ELIGIBLE, why_not="barred", **common)
    won = Round.objects.create(
        epoch=15,
        state=RoundState.INCLUDED,
        win_count=2,
        sector=7,
        steps=[["base_info", 800, 12]],
        budget_ms=2800,
        **common,
    )
    Block.objects.create(
        actor_id=2001,
        height=15,
        parents=bytes(32),
        unsigned=b"",
        cid=factories.cid("block"),
        messages=3,
        round=won,
        reward=10**18,
        penalty=0,
    )
    return row


@pytest.fixture
def ask(client: Any) -> Any:
    def ask(
        path: str, *, method: str = "GET", of: str = "alice", body: Any = None, perm: str = "write"
    ) -> Any:
        return client.generic(
            method,
            f"/api/v1/miners/f02001/{path}",
            "" if body is None else json.dumps(body),
            content_type="application/json",
            headers=people.bearer(people.token(perm, of=of)),
        )

    return ask


def test_rounds_come_newest_first_and_page_by_page(miner, ask):
    first = ask("rounds?limit=4").json()
    second = ask(f"rounds?limit=4&cursor={first['next']}").json()

    heights = [row["height"] for row in [*first["results"], *second["results"]]]
    assert heights == [15, 14, 13, 12, 11, 10]
    assert second["next"] is None
    won, barred = first["results"][:2]
    assert (won["outcome"], won["won"], won["sector"], won["eligible"]) == ("INCLUDED", 2, 7, True)
    assert won["steps"] == [{"name": "base_info", "start_ms": 800, "ms": 12}]
    assert (barred["eligible"], barred["why_not"]) == (False, "barred")


def test_rounds_between_two_epochs(miner, ask):
    rows = ask("rounds?from=11&to=13").json()["results"]

    assert [row["height"] for row in rows] == [13, 12, 11]
    assert ask("rounds?form=11").status_code == 400
    every = ask("rounds?from=&to=&limit=")
    assert every.status_code == 200, every.content
    assert len(every.json()["results"]) == 6


@pytest.mark.parametrize(
    ("power", "is_on", "why"),
    [
        ({"qa_power": 0}, True, "no_power"),
        ({"qa_power": 4096, "has_min_power": False}, True, "below_minimum"),
        ({"qa_power": 4096, "has_min_power": True}, False, "mining_off"),
        ({"qa_power": 4096, "has_min_power": True}, True, ""),
    ],
)
def test_a_miner_that_is_not_drawn_is_told_why(miner, ask, power, is_on, why):
    factories.head(16)
    Miner.objects.filter(pk=miner.pk).update(**power)
    MinerGrant.objects.update(open_mining=is_on)

    found = ask("mining").json()

    assert (found["why_not"], bool(found["reason"])) == (why, bool(why))
    assert ask("rounds").json()["why_not_now"] == why
    assert [one["days"] for one in found["luck"]] == [1, 7, 30]
    wait = found["expected_time_to_win_s"]
    # A quarter of a win an epoch: 4.5 epochs in the mean, as the wins of one epoch are Poisson distributed.
    assert wait is None if why else wait == pytest.approx(4.52 * network_current().epoch_s, rel=0.01)


def test_power_that_the_lookback_does_not_know_yet_is_no_missing_sector(miner, ask):
    Miner.objects.filter(pk=miner.pk).update(qa_power=4096, has_min_power=True)
    newest = Round.objects.latest("epoch")
    Round.objects.filter(pk=newest.pk).update(state=RoundState.NOT_ELIGIBLE, why_not=WhyNot.NO_POWER)
    factories.head(newest.epoch + 1)

    found = ask("mining").json()

    assert found["why_not"] == "power_too_new"
    assert "proven" not in found["reason"]


def test_rounds_that_nobody_draws_are_told(miner, ask):
    Miner.objects.filter(pk=miner.pk).update(qa_power=4096, has_min_power=True)
    factories.head(1000)

    assert ask("mining").json()["why_not"] == "not_begun"


def test_blocks_with_outcome_and_reward(miner, ask):
    [row] = ask("blocks").json()["results"]

    assert row.pop("submitted_at") is None
    assert row == {
        "height": 15,
        "cid": factories.cid("block"),
        "outcome": "INCLUDED",
        "won": 2,
        "reward": str(10**18),
        "penalty": "0",
        "messages": 3,
    }


def test_others_see_no_miner(miner, ask):
    assert {ask(path, of="bob").status_code for path in ("rounds", "blocks", "mining")} == {404}


def test_mining_stops_and_starts_with_a_line_each(miner, ask):
    found = ask("mining").json()
    assert (found["miner"], found["on"]) == ("f02001", True)
    assert ask("mining", method="PUT", body={"on": False}, perm="read").status_code == 403
    for is_on in (False, False, True):
        assert ask("mining", method="PUT", body={"on": is_on}).json()["on"] is is_on

    lines = AuditEntry.objects.filter(action__startswith="mining.").order_by("pk")
    assert list(lines.values_list("action", "target")) == [
        ("mining.stop", "f02001"),
        ("mining.start", "f02001"),
    ]
